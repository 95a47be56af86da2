package locallog

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestQuestionsThatAreAskedTogetherGoInFewRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const questions = 1000
		var mu sync.Mutex
		var sizes []int
		goOn := make(chan struct{})
		g := newGather(func(_ context.Context, node int32, of []int) ([]int, error) {
			mu.Lock()
			sizes = append(sizes, len(of))
			mu.Unlock()
			<-goOn
			if node == 2 {
				return nil, errors.New("the node is gone")
			}
			out := make([]int, len(of))
			for i, q := range of {
				out[i] = -q
			}
			return out, nil
		})
		var wg sync.WaitGroup
		for q := range questions {
			wg.Go(func() {
				answer, err := g.ask(t.Context(), 1, q)
				require.NoError(t, err)
				require.Equal(t, -q, answer)
			})
			if q < gatherSide {
				synctest.Wait()
				require.Len(t, sizes, q+1, "while few are asked each goes at once")
			}
		}
		synctest.Wait()
		close(goOn)
		wg.Wait()
		require.Len(t, sizes, gatherSide+(questions-gatherSide+gatherMax-1)/gatherMax)
		_, err := g.ask(t.Context(), 2, 1)
		require.ErrorContains(t, err, "the node is gone")
		g.close()
		require.Empty(t, g.mu.nodes, "nothing is kept of nodes that are not asked")
	})
}

func TestAQuestionEndsWithItsContextOrTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGather(func(ctx context.Context, _ int32, _ []int) ([]int, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan error, 2)
		ask := func(ctx context.Context) {
			_, err := g.ask(ctx, 1, 1)
			heard <- err
		}
		go ask(ctx)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-heard, context.Canceled)
		go ask(t.Context())
		synctest.Wait()
		g.close()
		require.ErrorIs(t, <-heard, context.Canceled)
		_, err := g.ask(t.Context(), 1, 1)
		require.Error(t, err)
	})
}
