package publisher

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pulledBytes limits the messages of one request to a consumer. The server puts all of them at once into the buffer of
// the connection. Beyond max_pending there, 64 MiB by default, it ends the connection, and with it every callback that
// waits for the store. Two requests may be under way.
const pulledBytes = 16 << 20

// atMost requests so many messages of a stream at once.
func (c *Connection) atMost(messages int, of jetstream.Stream) jetstream.PullMessagesOpt {
	return AtMost(c.nc, messages, of)
}

// AtMost requests so many messages of a stream at once, and not more bytes than a server buffers for a connection. A
// request must permit the largest message, with its subject and its headers: otherwise that one would never be
// delivered, and none after it. The limit of the stream remains when receive.max_body and max_payload are lowered.
func AtMost(nc *nats.Conn, messages int, of jetstream.Stream) jetstream.PullMessagesOpt {
	largest := max(int(nc.MaxPayload()), int(of.CachedInfo().Config.MaxMsgSize)) + headRoom
	return jetstream.PullMaxMessagesWithBytesLimit(messages, max(pulledBytes, largest))
}
