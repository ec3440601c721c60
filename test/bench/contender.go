package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/internal/ports"
	"kycbridge/publisher"
)

const (
	token    = "bench-key-bench-key"
	patience = time.Minute // until a process must be ready
)

// contender is one of the compared services.
type contender struct {
	name string
	// streams hold a message for each payload; the last one holds the events.
	streams []string
	subject string // of events with the time of receipt; "": without
	start   func(ctx context.Context, p programs, o options, dir string) (*service, error)
}

// contenders are the two that are compared.
func contenders(o options) []contender {
	own, events := []string{"KYC_PAYLOADS", "KYC_EVENTS"}, "kyc.event.v1.>"
	if o.scale {
		return []contender{
			{"two processes", own, events, startCluster(2)},
			{"one process", own, events, startCluster(1)},
		}
	}
	return []contender{
		{"kycbridge", own, events, startKycbridge},
		{"peer", []string{"PEER_EVENTS"}, "", startPeer},
	}
}

// service is a running contender.
type service struct {
	callbacks []string // addrs
	processes []*process
	nats      *nats.Conn
	streams   jetstream.JetStream
}

// stop ends the processes; their stored data is no longer needed.
func (s *service) stop() {
	if s.nats != nil {
		s.nats.Close()
	}
	for _, p := range slices.Backward(s.processes) {
		p.stop()
	}
}

// startKycbridge starts one process with its embedded store.
func startKycbridge(ctx context.Context, p programs, o options, dir string) (*service, error) {
	addrs, err := ports.Free(ctx, 3)
	if err != nil {
		return nil, err
	}
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "kycbridge.yaml")
	text := fmt.Sprintf("listen: %q\nadmin: {listen: %q}\nembedded: {listen: %q}\ndata_dir: %q\n", addrs[0], addrs[1],
		addrs[2], data)
	if err := os.WriteFile(file, []byte(text+accounts()), 0o600); err != nil {
		return nil, err
	}
	s := &service{callbacks: addrs[:1]}
	process, err := startProcess(ctx, dir, o, p.kycbridge, "serve", "--config", file)
	if err != nil {
		return nil, err
	}
	s.processes = append(s.processes, process)
	if err := process.ready(ctx, func() error { return answersOK(ctx, "http://"+addrs[1]+"/readyz") }); err != nil {
		return s, err
	}
	user, password, err := publisher.Operator(data)
	if err != nil {
		return s, err
	}
	return s, s.connect(addrs[2], nats.UserInfo(user, password))
}

// accounts are the log level and the accounts of a configuration.
func accounts() string {
	text := "log: {level: warn}\naccounts:\n"
	for _, provider := range []string{"ondato", "signzy"} {
		text += fmt.Sprintf("  - {name: acme, provider: %s, environment: test, confirm: false, auth: {bearer: [%s]}}\n",
			provider, token)
	}
	return text
}

// startPeer starts nats-server, which flushes every message before it acknowledges it, and the peer.
func startPeer(ctx context.Context, p programs, o options, dir string) (*service, error) {
	addrs, err := ports.Free(ctx, 2)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream: {store_dir: %q, sync_interval: always}\n", addrs[1],
		filepath.Join(dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &service{callbacks: addrs[:1]}
	server, err := startProcess(ctx, dir, o, p.nats, "--config", file)
	if err != nil {
		return nil, err
	}
	s.processes = append(s.processes, server)
	if err := server.ready(ctx, func() error { return s.connect(addrs[1]) }); err != nil {
		return s, err
	}
	peer, err := startProcess(ctx, dir, o.fast(), p.peer, "-addr", addrs[0], "-nats", "nats://"+addrs[1], "-token", token)
	if err != nil {
		return s, err
	}
	s.processes = append(s.processes, peer)
	return s, peer.ready(ctx, func() error { return accepts(ctx, addrs[0]) })
}

// connect opens the connection through which stored messages are counted.
func (s *service) connect(addr string, options ...nats.Option) (err error) {
	if s.nats, err = nats.Connect("nats://"+addr, options...); err != nil {
		return err
	}
	s.streams, err = jetstream.New(s.nats)
	return err
}

// stored is the number of messages of a stream.
func (s *service) stored(ctx context.Context, stream string) (int, error) {
	handle, err := s.streams.Stream(ctx, stream) // this requests the current state from the server
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return int(handle.CachedInfo().State.Msgs), nil
}

// process is a program that was started.
type process struct {
	cmd   *exec.Cmd
	name  string
	log   string
	ended chan struct{} // closed when it has ended and been waited for
	quota quota
}

// startProcess runs a program in a folder, on the processors and with the delay of each flush that o names.
func startProcess(ctx context.Context, dir string, o options, program string, args ...string) (*process, error) {
	command := slices.Concat(o.on, []string{program}, args)
	if o.slow > 0 {
		const flushes = "fsync,fdatasync,syncfs"
		delay := strconv.FormatInt(o.slow.Microseconds(), 10)
		// With -D the started process becomes the program, and strace runs as a separate process.
		command = append([]string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", os.DevNull,
			"-e", "trace=" + flushes, "-e", "inject=" + flushes + ":delay_exit=" + delay}, command...)
	}
	p := &process{name: filepath.Base(program), ended: make(chan struct{})}
	log, err := os.CreateTemp(dir, p.name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.log = log.Name()
	p.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KYCBRIDGE_") })
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the result is in ProcessState
		close(p.ended)
	}()
	return p, nil
}

// stop kills the process and returns when it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
	_ = p.quota.remove() // an empty group that stays takes nothing
}

// ready waits until ask returns no error.
func (p *process) ready(ctx context.Context, ask func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended (%s): %s", p.name, p.cmd.ProcessState, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.name, patience, err, p.tail())
		}
	}
}

// tail is the end of what the process has written.
func (p *process) tail() string {
	raw, _ := os.ReadFile(p.log) // after an error the message has no tail
	return string(raw[max(0, len(raw)-2000):])
}

func answersOK(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

func accepts(ctx context.Context, addr string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
