package publisher

import "github.com/nats-io/nats.go/jetstream"

// pulledBytes limits the messages of one request to a consumer. The server puts all of them at once into the buffer of
// the connection. Beyond max_pending there, 64 MiB by default, it ends the connection, and with it every callback that
// waits for the store. Two requests may be under way.
const pulledBytes = 16 << 20

// atMost requests so many messages at once, and not more bytes than a server buffers for a connection.
func (c *Connection) atMost(messages int) jetstream.PullMessagesOpt {
	// A request must permit the largest message, with its subject and its headers: otherwise it would never be delivered.
	largest := int(c.nc.MaxPayload()) + headRoom
	return jetstream.PullMaxMessagesWithBytesLimit(messages, max(pulledBytes, largest))
}
