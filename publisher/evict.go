package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// evictEvery is how often the consumers of the event stream are looked through.
const evictEvery = time.Minute

// evict removes consumers of the event stream that deliver into the API of JetStream or into our
// streams: they feed our own consumers' pulls into nowhere, or messages that are not ours to us.
// Readers cannot make such a consumer; one may be there from an earlier version, or on a server that
// lets readers reach the API. Where that cannot be done, nothing else is held up.
func (b *Bus) evict(ctx context.Context) {
	b.evicting.Lock()
	defer b.evicting.Unlock()
	if time.Since(b.evicted) < evictEvery {
		return
	}
	b.evicted = time.Now()
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	if err := b.removeHostile(ctx); err != nil {
		b.evictFails.warn(b.log, "cannot look through the consumers of the event stream", zap.Error(err))
	}
}

func (b *Bus) removeHostile(ctx context.Context) error {
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return fmt.Errorf("look through the consumers of %s: %w", b.names.events(), err)
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if !b.names.deliversToUs(info.Config.DeliverSubject) {
			continue
		}
		if err := b.js.DeleteConsumer(ctx, b.names.events(), info.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("remove a consumer that delivers to %s: %w", info.Config.DeliverSubject, err)
		}
		b.log.Warn("a consumer of the event stream delivered into our streams or their API; it has been removed",
			zap.String("consumer", plain(info.Name)), zap.String("delivered_to", plain(info.Config.DeliverSubject)))
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("look through the consumers of %s: %w", b.names.events(), err)
	}
	return nil
}

// deliversToUs reports whether a consumer that delivers to a subject disturbs us. Copies of the stream
// on other servers are made by consumers that deliver elsewhere.
func (n Names) deliversToUs(subject string) bool {
	for _, api := range []string{"$JS.API.", "$JS.ACK.", "$JS.FC.", "$SYS.", n.Subject + "."} {
		if strings.HasPrefix(subject, api) {
			return true
		}
	}
	return false
}
