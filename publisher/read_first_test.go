package publisher

import (
	"context"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// leaderlessOnce is a stream whose group has no leader at the first read (10008, as nats-server answers then).
type leaderlessOnce struct {
	jetstream.Stream
	asked int
}

func (s *leaderlessOnce) GetMsg(
	ctx context.Context, seq uint64, o ...jetstream.GetMsgOpt,
) (*jetstream.RawStreamMsg, error) {
	if s.asked++; s.asked == 1 {
		return nil, &jetstream.APIError{Code: http.StatusServiceUnavailable, ErrorCode: 10008,
			Description: "JetStream system temporarily unavailable"}
	}
	return s.Stream.GetMsg(ctx, seq, o...)
}

// TestUnreadDuplicate: a repeated callback is not stored a second time while the first one cannot be read.
func TestUnreadDuplicate(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("idv-1", "event-1", `{"a": 1}`)
	_, err := store.Append(t.Context(), p)
	must(t, err)
	store.payloadLog = &leaderlessOnce{Stream: store.payloadLog}
	stored, err := store.Append(t.Context(), p)
	t.Logf("%+v %v", stored, err)
	if n := len(kept(t, store, kycbridge.KeptQuery{})); n != 1 {
		t.Errorf("%d copies", n)
	}
}
