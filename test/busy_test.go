package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/test/wait"
)

// TestABusyVerificationDelaysNoOther: hundreds of contradicting callbacks of one verification, which each credential of
// an account can send, do not delay the event of another one by more than seconds, and are soon processed themselves.
func TestABusyVerificationDelaysNoOther(t *testing.T) {
	t.Parallel()
	const callbacks = 400
	b := newBridge(t, oneAccount+`  - name: acme
    provider: idwise
    environment: test
    auth: {bearer: [`+loadToken+`]}
    confirm: false
`)
	b.start(t)
	raw, err := os.ReadFile("fixture/testdata/idwise/journey-result-refer/body.json")
	if err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	for sender := range 16 {
		sending.Go(func() {
			for n := sender; n < callbacks; n += 16 {
				body := bytes.Replace(raw, []byte("{"), fmt.Appendf(nil, `{"n":%d,`, n), 1)
				if n%2 == 0 {
					body = bytes.ReplaceAll(body, []byte(`"Refer"`), []byte(`"Complete"`))
				}
				b.callbackOf(t, "idwise", body)
			}
		})
	}
	sending.Wait()
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	events, err := nc.SubscribeSync("kyc.event.v1.ondato.>")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the subscription of a reader takes a moment until events reach it
	began := time.Now()
	b.approve(t, 1, 1)
	if _, err := events.NextMsg(5 * time.Second * wait.Slowdown); err != nil {
		t.Errorf("no event of another verification after %s: %v", time.Since(began), err)
	}
	b.settled(t, 15*time.Second)
}

// callbackOf sends a callback of a provider to the account acme.
func (b *bridge) callbackOf(t *testing.T, provider string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.callbackURL(provider, "acme"),
		bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+loadToken)
	if r, err := b.send(req); err != nil || r.Code != http.StatusOK {
		t.Errorf("answered %d, %v", r.Code, err)
	}
}
