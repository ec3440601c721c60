package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/app"
	"kycbridge/test/fixture"
)

func demoCommand() *cobra.Command {
	var once, asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it at work with synthetic payloads of every provider: one process, nothing to install",
		Long: `Start kycbridge with an embedded NATS server in a temporary folder, send it the
synthetic payloads of every provider, and print every event that comes of them.

Each payload has an account of its own, named after what it shows. The columns are those
of kycbridge events.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), once, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when every payload has been worked")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each event as its CloudEvent, one a line")
	return cmd
}

func demo(ctx context.Context, once, asJSON bool, stdout, stderr io.Writer) error {
	cases, err := fixture.Load()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kycbridge-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	key := rand.Text()
	a, err := app.Start(ctx, app.DemoConfig(dir, key, cases), app.AllRoles(), zap.NewNop())
	if err != nil {
		return err
	}
	defer a.Stop()

	out := &counter{printer: printer{w: stdout, asJSON: asJSON}}
	for _, c := range cases {
		out.account = columnFor(out.account, c.Name)
	}
	// Whoever reads ends the rest: nobody is left to show it to.
	showing, end := context.WithCancelCause(ctx)
	var reader sync.WaitGroup
	reader.Go(func() {
		end(app.ReadEvents(showing, app.ReadOptions{URL: a.ClientURL(), Stream: "KYC_EVENTS", Follow: true}, out.print))
	})
	defer reader.Wait()
	defer end(nil)
	err = show(showing, a, cases, key, out, once, stderr)
	if showing.Err() != nil {
		return context.Cause(showing)
	}
	return err
}

// show sends the cases and waits for their events; without once it goes on until ctx ends.
func show(ctx context.Context, a *app.App, cases []fixture.Case, key string, out *counter, once bool, stderr io.Writer) error {
	tally, err := send(ctx, a, cases, key)
	if err != nil {
		return err
	}
	events, err := settle(ctx, a, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "\n%d payloads: %d accepted, %d quarantined; %d events, the other accepted payloads ask for none.\n",
		len(cases), tally[kycbridge.ReceiptAccepted], tally[kycbridge.ReceiptQuarantined], events)
	if once {
		return nil
	}
	fmt.Fprintf(stderr, "Still running. Read the events again with: kycbridge events --url %s\nEnd with Ctrl-C.\n", a.ClientURL())
	<-ctx.Done()
	return nil
}

// send hands every case in: callbacks over HTTP with real authentication, fetched bodies the way
// the poller does.
func send(ctx context.Context, a *app.App, cases []fixture.Case, key string) (map[string]int, error) {
	tally := map[string]int{}
	for _, c := range cases {
		if c.Via != kycbridge.ViaCallback {
			account, err := a.Accounts().Find(c.Provider, c.Name)
			if err != nil {
				return nil, fmt.Errorf("account of %s: %w", c.Dir(), err)
			}
			receipt, err := a.Ingest(ctx, account, kycbridge.Payload{Via: c.Via, ReceivedAt: time.Now(), ContentType: "application/json", Body: c.Body})
			if err != nil {
				return nil, fmt.Errorf("hand in %s: %w", c.Dir(), err)
			}
			tally[receipt.Status]++
			continue
		}
		status, err := post(ctx, "http://"+a.CallbackAddr()+"/webhooks/"+c.Dir(), key, c.Body)
		if err != nil {
			return nil, fmt.Errorf("post %s: %w", c.Dir(), err)
		}
		tally[status]++
	}
	return tally, nil
}

// post sends one callback and returns the status word of the answer.
func post(ctx context.Context, url, key string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %s", res.Status)
	}
	return statusWord(res.Body)
}

// settle waits until every payload has been worked and every event has been printed.
func settle(ctx context.Context, a *app.App, out *counter) (events int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		backlog, published, err := a.Progress(ctx)
		if err == nil && backlog == 0 && out.count() == published {
			return published, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the demo did not come to its end: %d payloads left, %d of %d events printed", backlog, out.count(), published)
		}
	}
}

// counter prints events and counts them.
type counter struct {
	printer
	mu sync.Mutex
	n  int
}

func (c *counter) print(body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.printer.print(body)
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// statusWord reads the status of an answered callback.
func statusWord(r io.Reader) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	err := json.NewDecoder(r).Decode(&answer)
	return answer.Status, err
}
