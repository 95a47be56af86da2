package record

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestCodecsAgreeWithAForeignClient has franz-go read what we compress, and the other way round.
func TestCodecsAgreeWithAForeignClient(t *testing.T) {
	theirs := map[Codec]kgo.CompressionCodec{
		Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int{1, 100, 70_000, 3 << 20} {
		src := make([]byte, size)
		for i := range src {
			src[i] = byte(rng.IntN(1 + i%9))
		}
		for codec, option := range theirs {
			ours, err := compress(nil, src, codec)
			require.NoError(t, err)
			got, err := kgo.DefaultDecompressor().Decompress(ours, kgo.CompressionCodecType(codec))
			require.NoError(t, err, "%s of %d bytes", codec, size)
			require.True(t, bytes.Equal(src, got), "%s of %d bytes", codec, size)

			compressor, err := kgo.DefaultCompressor(option)
			require.NoError(t, err)
			foreign, kind := compressor.Compress(new(bytes.Buffer), src)
			require.Equal(t, kgo.CompressionCodecType(codec), kind)
			got, err = uncompress(nil, foreign, codec)
			require.NoError(t, err, "%s of %d bytes", codec, size)
			require.True(t, bytes.Equal(src, got), "%s of %d bytes", codec, size)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for c := None; c <= Zstd; c++ {
		got, ok := ParseCodec(c.String())
		require.True(t, ok)
		require.Equal(t, c, got)
	}
	_, ok := ParseCodec("lzma")
	require.False(t, ok)
}
