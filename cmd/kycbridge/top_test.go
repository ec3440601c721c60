package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"kycbridge/test/wait"
)

// pane is a tmux terminal with a running command.
type pane struct {
	ts     *testscript.TestScript
	socket string
}

// tmux runs a command of tmux.
func (p pane) tmux(args ...string) string {
	cmd := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.ts.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// shows waits until all words are on the screen.
func (p pane) shows(words ...string) {
	deadline := time.Now().Add(30 * time.Second * wait.Slowdown)
	for {
		picture, missing := p.tmux("capture-pane", "-p", "-t", "top"), ""
		for _, w := range words {
			if !strings.Contains(picture, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			p.ts.Fatalf("%q is not shown:\n%s", missing, picture)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p pane) keys(keys ...string) {
	p.tmux(append([]string{"send-keys", "-t", "top"}, keys...)...)
}

// find types a search.
func (p pane) find(id string) {
	p.keys("/")
	p.keys("-l", id)
	p.keys("Enter")
}

// topCommandScript uses top with the bridge of a script, in a real terminal.
func topCommandScript(ts *testscript.TestScript, s *stored) {
	p := pane{ts, filepath.Join(s.dir, "tmux")}
	p.tmux("-f", "/dev/null", "new-session", "-d", "-s", "top", "-x", "140", "-y", "30",
		fmt.Sprintf("%s top --url %s --user kycbridge --password-file %s --api %s --token-file %s", program,
			ts.Getenv("NATS"),
			filepath.Join(s.dir, "data", "operator-password"), ts.Getenv("ADMIN"), ts.Getenv("TOKEN")))
	defer func() { _ = exec.Command("tmux", "-S", p.socket, "kill-server").Run() }()
	verification := ts.Getenv("VERIFICATION")

	p.shows("[1 live]", "approved (final)", "KycIdentification.Approved")
	p.keys("2")
	p.shows("[2 verifications]", verification[:12])
	p.keys("Enter")
	p.shows("found by", "verification id")
	p.keys("q")
	p.keys("3")
	p.shows("[3 quarantine]", "quarantined", "malformed", "refused")
	p.keys("Enter")
	p.shows("masked; --reveal shows it")
	p.keys("q")
	p.keys("4")
	p.shows("[4 providers]", "ondato", "signzy")
	p.keys("5")
	p.shows("[5 report]", "Nothing is lost")
	p.keys("r")
	p.find("b0000000-0000")
	p.shows("provider's reference", verification, "→ r2")
	p.keys("q")
	p.find("nobody-has-this")
	p.shows("no verification or payload has the id nobody-has-this")
	p.keys("q")
	deadline := time.Now().Add(10 * time.Second * wait.Slowdown)
	for exec.Command("tmux", "-S", p.socket, "has-session", "-t", "top").Run() == nil {
		if time.Now().After(deadline) {
			ts.Fatalf("q does not end it")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestLateAnswerKeepsTheFault: a report that takes longer than a search does not remove the answer to the search.
func TestLateAnswerKeepsTheFault(t *testing.T) {
	m := tea.Model(newTop(screen{}, topSource{}))
	send := func(msg tea.Msg) { m, _ = m.Update(msg) }
	send(tea.KeyPressMsg{Text: "5", Code: '5'})
	send(topFault{errors.New("no verification or payload has the id")})
	send(topText{title: "report"})
	if m.(top).fault == "" {
		t.Error("the late report has removed it")
	}
	send(tea.KeyPressMsg{Text: "r", Code: 'r'})
	if fault := m.(top).fault; fault != "" {
		t.Errorf("after the next request: %s", fault)
	}
}

// TestTopNeedsATerminal: without a terminal, top suggests another command.
func TestTopNeedsATerminal(t *testing.T) {
	got := finish(t, command(t, "top"))
	if got.code != 1 || !strings.Contains(got.stderr, "top needs a terminal; kycbridge events --follow") {
		t.Errorf("%d %s", got.code, got.stderr)
	}
}
