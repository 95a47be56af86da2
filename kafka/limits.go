package kafka

import "time"

// Limits of what one client can take of the node.
const (
	// MaxProduceBytes bounds a Produce request (Kafka's socket.request.max.bytes). It is checked before anything is allocated.
	MaxProduceBytes = 100 << 20
	// MaxRequestBytes bounds all other requests. Their structs may take 100 times that, so it is much lower.
	MaxRequestBytes = 1 << 20
	// MaxProduceParts bounds the partitions of a Produce request.
	MaxProduceParts = 10_000
	// MaxFetchBytes bounds the records of a Fetch response, unless a single batch is larger.
	MaxFetchBytes = 8 << 20
	// MaxConnections is the default of Config.MaxConnections.
	MaxConnections = 2000
	// DefaultRequestBytes is the default of Config.RequestBytes.
	DefaultRequestBytes = 128 << 20

	// maxInFlight is how many requests of a connection are started and not answered. Clients send up to 5.
	maxInFlight = 8
	// scarceFetchBytes bounds a Fetch response while memory is short.
	scarceFetchBytes = 64 << 10
	// maxLockedBytes bounds requests of clients that have not authenticated.
	maxLockedBytes = 16 << 10
	// readBufferBytes is the buffer in front of a connection; bodies of requests go past it.
	readBufferBytes = 4 << 10
	// keepBufferBytes is the largest buffer that a connection keeps between answers.
	keepBufferBytes = 256 << 10
	// decodeCost is how many bytes of structs a byte of a request may become, for the accounting of memory.
	decodeCost = 32

	// maxWait bounds what requests say they will wait.
	maxWait = time.Minute
	// maxWaitMillis is maxWait, for requests that do not say.
	maxWaitMillis = int32(maxWait / time.Millisecond)
	// frameTimeout is how long a request may take to come in once it has begun.
	frameTimeout = 30 * time.Second
	// writeTimeout is how long a client may take to receive an answer.
	writeTimeout = 60 * time.Second
	// acceptPause follows an error of accept.
	acceptPause = 50 * time.Millisecond
	// keepAliveIdle is when the kernel begins to ask whether a silent client is there.
	keepAliveIdle = time.Minute
)
