package publisher

import (
	"strings"
	"testing"
)

// TestWideUsersAreRefused: a user may be granted events, requests to watch and foreign subjects. The
// server does not start if a user is granted more.
func TestWideUsersAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		subject            string
		publish, subscribe bool
	}{
		{">", false, false},
		{"*", false, false},
		{"*.event.v1.>", false, false},
		{"kyc.>", false, false},
		{"kyc.*.v1.>", false, false},
		{"kyc", true, true}, // no subject of kycbridge has a single token
		{"kyc.event.v1.>", false, true},
		{"kyc.event.>", false, true},
		{"kyc.event.v1.ondato.>", false, true},
		{"kyc.put.v1.>", false, false},
		{"kyc.payload.>", false, false},
		{"kyc.access.>", false, false},
		{"kyc.disposition", false, false},
		{"kyc.poll.due.>", false, false},
		{"kyc.watch.>", true, false},
		{"kyc.watch.*.*", true, false},
		{"kyc.watch.kwikid.acme", true, false},
		{"_INBOX.>", true, true},
		{"_R_.>", false, false},
		{"_GR_.>", false, false},
		{"$SYS.>", false, false},
		{"$JS.>", false, false},
		{"$JS.API.>", false, false},
		{"$JS.API.CONSUMER.DELETE.KYC_PAYLOADS.normalizer", false, false},
		{"$JS.API.CONSUMER.MSG.NEXT.*.*", false, false},
		{"$JS.API.CONSUMER.MSG.NEXT.KYC_EVENTS.ondato", true, false},
		{"$JS.API.STREAM.PURGE.KYC_EVENTS", false, false},
		{"$JS.ACK.KYC_EVENTS.ondato.>", true, false},
		{"$JS.ACK.>", false, false},
		{"orders.>", true, true},
	} {
		if got := testNames.MayPublish(c.subject); got != c.publish {
			t.Errorf("publish on %s: %t", c.subject, got)
		}
		if got := testNames.MaySubscribe(c.subject); got != c.subscribe {
			t.Errorf("subscribe to %s: %t", c.subject, got)
		}
		user := User{Username: "wide", Password: "synthetic-password"}
		publishes, subscribes := user, user
		publishes.Publish, subscribes.Subscribe = []string{c.subject}, []string{c.subject}
		for _, u := range []User{publishes, subscribes} {
			server, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Names: testNames, MaxBody: testMaxBody,
				Users: []User{u}})
			if server != nil {
				server.Close()
			}
			allowed := len(u.Publish) > 0 && c.publish || len(u.Subscribe) > 0 && c.subscribe
			if (err == nil) != allowed || err != nil && !strings.Contains(err.Error(), "user wide") {
				t.Errorf("start with %+v: %v", u, err)
			}
		}
	}
}
