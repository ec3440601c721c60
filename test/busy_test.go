package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
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
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	events, err := nc.SubscribeSync("kyc.event.v1.ondato.>")
	if err != nil {
		t.Fatal(err)
	}
	verifications := 0
	isTold := func(patience time.Duration) bool { // whether the event of one more verification comes
		verifications++
		b.approve(t, verifications, verifications)
		for deadline := time.Now().Add(patience); ; {
			m, err := events.NextMsg(time.Until(deadline))
			if err != nil || strings.HasSuffix(m.Subject, "."+idOf(verifications)) {
				return err == nil
			}
		}
	}
	wait.For(t, 20*time.Second, "events are received", func() bool { return isTold(100 * time.Millisecond) })
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
	if patience := 5 * time.Second * wait.Slowdown; !isTold(patience) {
		t.Errorf("no event of another verification within %s", patience)
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
