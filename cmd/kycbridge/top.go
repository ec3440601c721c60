package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// topFlags are the flags of top.
type topFlags struct {
	app.ReadOptions
	api apiFlags
}

func topCommand(environ []string) *cobra.Command {
	o := topFlags{api: apiFlags{environ: environ}}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live activity in a terminal",
		Long: `Show live activity in a terminal. Events come from NATS, as for kycbridge
events; everything else from the admin API, with a token.

  1 live            new events
  2 verifications   the newest state of each, the newest first
  3 quarantine      quarantined and refused payloads
  4 providers       results of the payloads of each account, in the last day
  5 report          the account of all payloads

  /      find a verification by any id       Enter  open the selection
  r      read again                          q      back, or quit`,
		Example: "  kycbridge top --token-file ./token",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readable(&o.ReadOptions); err != nil {
				return usage(cmd, err.Error())
			}
			if !terminal(cmd.InOrStdin()) || !terminal(cmd.OutOrStdout()) {
				return usage(cmd, "top needs a terminal; kycbridge events --follow prints the same line by line")
			}
			client, err := o.api.client()
			if err != nil && o.api.named() {
				return usage(cmd, err.Error())
			}
			return o.run(cmd, client)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.URL, "url", "nats://127.0.0.1:4222", "NATS `server` to read events from")
	f.StringVar(&o.User, "user", "", "`name` of a NATS user")
	f.StringVar(&o.PasswordFile, "password-file", "", "`file` with the password of --user")
	f.StringVar(&o.CredentialsFile, "creds", "", "NATS credentials `file` (JWT and seed)")
	f.StringVar(&o.Stream, "stream", "KYC_EVENTS", "event `stream`")
	o.api.addTo(f)
	return cmd
}

// topHistory is the age of the first events in top.
const topHistory = 24 * time.Hour

// run shows the views until q, or until ctx ends.
func (o *topFlags) run(cmd *cobra.Command, client *apiClient) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	m := newTop(screenOf(cmd.OutOrStdout(), o.api.environ), topSource{ctx: ctx, client: client})
	program := tea.NewProgram(m, tea.WithContext(ctx), tea.WithFPS(topFPS), tea.WithInput(cmd.InOrStdin()),
		tea.WithOutput(cmd.OutOrStdout()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		read := o.ReadOptions
		read.Follow, read.Since = true, time.Now().Add(-topHistory)
		err := app.ReadEvents(ctx, read, func(body []byte) error {
			if e, err := event.Decode(body); err == nil {
				program.Send(topEvent(e))
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			program.Send(topFault{fromNATS(err, otherURL)})
		}
	}()
	_, err := program.Run()
	cancel()
	<-ended
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled) {
		return nil // a signal
	}
	return err
}

// Messages to the views.
type (
	topEvent event.Event
	topFault struct{ error }
	topList  []archive.Entry
	topText  struct {
		title string
		lines []string
	}
	topAccounts archive.Report
)

// topSource calls the admin API for the views.
type topSource struct {
	ctx    context.Context // of the program
	client *apiClient      // nil: no token
}

// errNoToken is shown in views that need the API.
var errNoToken = errors.New("this view uses the admin API: write --token-file FILE, or set " + tokenVariable)

// ask creates a command that calls the API.
func (s topSource) ask(work func(context.Context, *apiClient) (tea.Msg, error)) tea.Cmd {
	return func() tea.Msg {
		if s.client == nil {
			return topFault{errNoToken}
		}
		ctx, cancel := context.WithTimeout(s.ctx, apiWait)
		defer cancel()
		msg, err := work(ctx, s.client)
		if err != nil {
			return topFault{err}
		}
		return msg
	}
}

// kept requests the quarantined and the refused payloads, the newest first.
func (s topSource) kept() tea.Cmd {
	return s.ask(func(ctx context.Context, c *apiClient) (tea.Msg, error) {
		var all []archive.Entry
		for _, status := range []string{archive.StatusQuarantined, archive.StatusRefused} {
			err := c.list(ctx, archive.Filter{Status: status}, func(e archive.Entry) error { all = append(all, e); return nil })
			if err != nil {
				return nil, err
			}
		}
		return topList(latest(all, topRows)), nil
	})
}

// accounts requests the results of payloads by account.
func (s topSource) accounts() tea.Cmd {
	return s.ask(func(ctx context.Context, c *apiClient) (tea.Msg, error) {
		r, err := c.report(ctx, archive.Filter{Since: time.Now().Add(-topHistory)})
		return topAccounts(r), err
	})
}

// report requests the report.
func (s topSource) report() tea.Cmd {
	return s.ask(func(ctx context.Context, c *apiClient) (tea.Msg, error) {
		r, err := c.report(ctx, archive.Filter{})
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		err = printReport(&b, r)
		return topText{"report", strings.Split(strings.TrimRight(b.String(), "\n"), "\n")}, err
	})
}

// find searches for an id and shows the timeline, or lists the matches.
func (s topSource) find(look screen, id string) tea.Cmd {
	return s.ask(func(ctx context.Context, c *apiClient) (tea.Msg, error) {
		var r archive.SearchResult
		q := request{method: http.MethodGet, path: "/v1/verifications", query: url.Values{"q": {id}, "timeline": {"true"}}}
		if err := c.object(ctx, q, &r); err != nil {
			return nil, err
		}
		if len(r.Found) == 0 {
			return nil, nothingHas(r, id, id)
		}
		var b strings.Builder
		look.w = &b
		print := func() error { return printFound(look, r.Found) }
		if r.Timeline != nil {
			print = func() error { return printTimeline(look, r.Found[0], *r.Timeline) }
		}
		err := print()
		return topText{id, strings.Split(strings.TrimRight(b.String(), "\n"), "\n")}, err
	})
}

// payload shows one stored payload, masked.
func (s topSource) payload(e archive.Entry) tea.Cmd {
	return s.ask(func(ctx context.Context, c *apiClient) (tea.Msg, error) {
		shown, err := c.show(ctx, archive.Filter{ID: e.PayloadID, Status: e.Status}, false)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		err = printShown(&b, shown)
		return topText{e.PayloadID, strings.Split(strings.TrimRight(b.String(), "\n"), "\n")}, err
	})
}
