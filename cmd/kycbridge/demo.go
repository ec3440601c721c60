package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/app"
	"kycbridge/internal/keys"
	"kycbridge/internal/ports"
	"kycbridge/internal/simulate"
)

// demoSpeed is the speed of the simulated persons relative to real time.
const demoSpeed = 60

func demoCommand() *cobra.Command {
	var once, asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a demonstration with four simulated providers: one process, nothing to install",
		Long: fmt.Sprintf(`Demonstrate the guarantees of kycbridge, each with a figure that is measured in the demo: a
thousand callbacks and a process that is killed meanwhile, unknown states, callbacks in the
wrong order, and a search for names of people in logs and metrics.

Then start kycbridge with an embedded NATS server in a temporary folder and a simulated
provider of each kind, start verifications at each of them through the API, and print
every resulting event. The applicants are synthetic and act at %d times real time. It
continues until Ctrl-C, and prints a token and a configuration that you can use
meanwhile.

The columns are those of kycbridge events. --once and --json, for scripts, leave the
guarantees out.`, demoSpeed),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), once, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&once, "once", false,
		"end when one approved and one rejected verification at each provider have ended")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each event as its CloudEvent, one per line")
	return cmd
}

func demo(ctx context.Context, once, asJSON bool, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "kycbridge-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a temporary folder in %s: %w; let the variable TMPDIR name a folder where this user "+
			"may write", os.TempDir(), withoutPath(err))
	}
	defer os.RemoveAll(dir)
	if !once && !asJSON {
		if err := acts(ctx, dir, stdout); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(stdout, "5. Four providers, live."); err != nil {
			return err
		}
	}
	s, err := newDemoSetup(ctx, dir)
	if err != nil {
		return err
	}
	defer s.close()

	out := &counter{printer: printer{screen: screenOf(stdout, os.Environ()), asJSON: asJSON}}
	// A closed reader ends the demo: there is no output left to show.
	showing, end := context.WithCancelCause(ctx)
	var reader sync.WaitGroup
	reader.Go(func() {
		end(app.ReadEvents(showing, app.ReadOptions{URL: s.app.ClientURL(), Stream: "KYC_EVENTS", Follow: true}, out.print))
	})
	defer reader.Wait()
	defer end(nil)
	err = s.show(showing, out, once, stderr)
	if showing.Err() != nil {
		return context.Cause(showing)
	}
	return err
}

// printNextSteps prints commands to use with the running demo.
func (s *demoSetup) printNextSteps(stderr io.Writer) {
	fmt.Fprintf(stderr, `
It continues until Ctrl-C. Meanwhile, in another shell:
  console        http://%s/  with the token %s
  configuration  %s
  kycbridge payloads list --config %s
  kycbridge find %s --config %s
  kycbridge events --url %s --follow
Your own: kycbridge init

`, s.app.AdminAddr(), s.token, s.file, s.file, s.first, s.file, s.app.ClientURL())
}

// demoSetup is kycbridge with simulated providers.
type demoSetup struct {
	app       *app.App
	token     string
	file      string // its configuration
	first     string // the external reference of the first verification
	providers []*simulate.Server
}

// nextStepsAfter is the number of further verifications before the demo prints the next steps.
const nextStepsAfter = 3

// demoAccount is the name of the account at every provider.
const demoAccount = "demo"

// newDemoSetup starts the providers and kycbridge, configured with each other's address.
func newDemoSetup(ctx context.Context, dir string) (_ *demoSetup, err error) {
	s := &demoSetup{token: rand.Text()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// The providers need the first address before it is listened on. Commands that run beside the demo read the
	// configuration, so it contains the port of NATS.
	addresses, err := ports.Free(ctx, 2)
	if err != nil {
		return nil, err
	}
	listen, port := addresses[0], addresses[1]
	key, err := keys.Generate("demo")
	if err != nil {
		return nil, err
	}
	var file strings.Builder
	fmt.Fprintf(&file, "listen: %s\npublic_url: http://%s\nadmin: {listen: '127.0.0.1:0', tokens: [%s]}\nembedded: "+
		"{listen: '%s'}\ndata_dir: %q\nencryption: {key: %q}\naccounts:\n",
		listen, listen, s.token, port, filepath.Join(dir, "data"), key)
	for _, provider := range app.Simulated() {
		server, err := simulate.Start(provider,
			simulate.Options{Speed: demoSpeed, CallbackURL: "http://" + listen + "/webhooks/" + provider.Name + "/" +
				demoAccount})
		if err != nil {
			return nil, err
		}
		s.providers = append(s.providers, server)
		fmt.Fprintf(&file, "  - name: %s\n    provider: %s\n    environment: test\n    auth: %s\n    api: %s\n    poll: "+
			"{interval: 500ms, deadline: 3m, rechecks: [200ms]}\n    limits: {requests_per_second: 50, concurrency: 4}\n%s",
			demoAccount, provider.Name, server.Auth(), server.APIText(), server.Settings())
	}
	path := filepath.Join(dir, "kycbridge.yaml")
	s.file = path
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		return nil, err
	}
	s.app, err = app.Start(ctx, config, app.AllRoles(), zap.NewNop(), app.WithVersion(programVersion()))
	return s, err
}

func (s *demoSetup) close() {
	for _, provider := range s.providers {
		provider.Close()
	}
	if s.app != nil {
		s.app.Stop()
	}
}

// show starts one verification that will be approved and one that will be rejected at each provider and
// waits for their ends; without once it continues with others until ctx ends.
func (s *demoSetup) show(ctx context.Context, out *counter, once bool, stderr io.Writer) error {
	var started []kycbridge.Key
	for _, person := range []string{simulate.Approve, simulate.Reject} {
		for _, provider := range s.providers {
			k, err := s.start(ctx, provider.Name(), person)
			if err != nil {
				return err
			}
			started = append(started, k)
		}
	}
	if !once {
		return s.startMore(ctx, stderr)
	}
	events, err := s.settle(ctx, started, out)
	if err != nil {
		return err
	}
	calls, callbacks := 0, 0
	for _, provider := range s.providers {
		stats := provider.Stats()
		callbacks += stats.Accepted
		for _, n := range stats.Calls {
			calls += n
		}
	}
	fmt.Fprintf(stderr, "\n%d verifications at %d providers have ended: %d calls to the providers, %d callbacks from "+
		"them, %d events.\n", len(started), len(s.providers), calls, callbacks, events)
	return nil
}

// startMore starts further verifications at intervals, until ctx ends.
func (s *demoSetup) startMore(ctx context.Context, stderr io.Writer) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	people := simulate.People()
	for round := 0; ; round++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if round == nextStepsAfter { // the output still has a reader
			s.printNextSteps(stderr)
		}
		provider := s.providers[mathrand.IntN(len(s.providers))]
		if _, err := s.start(ctx, provider.Name(), people[mathrand.IntN(len(people))]); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// start starts a verification over the API, as a client would.
func (s *demoSetup) start(ctx context.Context, provider, person string) (kycbridge.Key, error) {
	external := person + "-" + rand.Text()[:8]
	if s.first == "" {
		s.first = external
	}
	body, err := json.Marshal(map[string]any{
		"provider": provider, "account": demoAccount, "external_reference": external,
		"person": map[string]any{"given_name": "Testa", "family_name": "Sample", "birthdate": "1990-02-01",
			"phone_number": "+915550100001"},
	})
	if err != nil {
		return kycbridge.Key{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.app.AdminAddr()+"/v1/verifications",
		bytes.NewReader(body))
	if err != nil {
		return kycbridge.Key{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return kycbridge.Key{}, err
	}
	defer res.Body.Close()
	var receipt kycbridge.StartReceipt
	if res.StatusCode != http.StatusCreated {
		return kycbridge.Key{}, fmt.Errorf("start a verification at %s: answered %s", provider, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&receipt); err != nil {
		return kycbridge.Key{}, fmt.Errorf("start a verification at %s: %w", provider, err)
	}
	return kycbridge.Key{Provider: provider, Account: demoAccount, VerificationID: receipt.VerificationID}, nil
}

// settle waits until every verification has ended, every callback has arrived, and every event is printed.
func (s *demoSetup) settle(ctx context.Context, started []kycbridge.Key, out *counter) (events int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		open := s.open(ctx, started)
		backlog, published, err := s.app.Progress(ctx)
		if err == nil && open == 0 && backlog == 0 && out.count() == published {
			return published, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf(
				"the demo did not finish: %d verifications open, %d payloads left, %d of %d events printed", open,
				backlog, out.count(), published)
		}
	}
}

// open is the number of verifications in progress, and of callbacks being delivered.
func (s *demoSetup) open(ctx context.Context, started []kycbridge.Key) (n int) {
	for _, k := range started {
		if state, err := s.app.State(ctx, k); err != nil || !state.Status.Terminal() {
			n++
		}
	}
	for _, provider := range s.providers {
		n += provider.Stats().Waiting
	}
	return n
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
