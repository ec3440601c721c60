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

// evictEvery is how often the consumers of the event stream are inspected.
const evictEvery = time.Minute

// removeHostileConsumers removes consumers of the event stream that deliver into the JetStream API or into
// internal streams: they take messages from kycbridge's own consumers, or inject foreign messages. Readers
// cannot create such a consumer, but an earlier version may have left one, or it may exist on a server that gives
// readers access to the API. A failure is only logged.
func (b *Bus) removeHostileConsumers(ctx context.Context) {
	b.evicting.Lock()
	defer b.evicting.Unlock()
	if time.Since(b.evicted) < evictEvery {
		return
	}
	b.evicted = time.Now()
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := b.removeHostileOnce(ctx); err != nil {
		b.evictFails.warn(b.log, "cannot inspect the consumers of the event stream", zap.Error(err))
	}
}

func (b *Bus) removeHostileOnce(ctx context.Context) error {
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return fmt.Errorf("look through the consumers of %s: %w", b.names.events(), err)
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if !b.names.deliversToUs(info.Config.DeliverSubject) {
			continue
		}
		if err := b.js.DeleteConsumer(ctx, b.names.events(), info.Name); err != nil &&
			!errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("remove a consumer that delivers to %s: %w", info.Config.DeliverSubject, err)
		}
		b.log.Warn("a consumer of the event stream delivered into internal streams or the JetStream API; it has been removed",
			zap.String("consumer", headerText(info.Name)), zap.String("delivered_to", headerText(info.Config.DeliverSubject)))
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("look through the consumers of %s: %w", b.names.events(), err)
	}
	return nil
}

// deliversToUs reports whether a consumer that delivers to a subject disturbs kycbridge. Consumers that copy the
// stream to other servers deliver to other subjects.
func (n Names) deliversToUs(subject string) bool {
	for _, api := range []string{"$JS.API.", "$JS.ACK.", "$JS.FC.", "$SYS.", n.Subject + "."} {
		if strings.HasPrefix(subject, api) {
			return true
		}
	}
	return false
}
