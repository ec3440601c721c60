package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of the compiled programs.
type programs struct{ kycbridge, nats, peer string }

// errDownload means that the modules of the peer are neither on this machine nor at the module proxy.
var errDownload = errors.New("the modules of the peer cannot be downloaded")

// build compiles kycbridge, nats-server and the peer into a folder.
func build(ctx context.Context, dir string) (p programs, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return p, err
	}
	p = programs{filepath.Join(dir, "kycbridge"), filepath.Join(dir, "nats-server"), filepath.Join(dir, "peer")}
	peer := filepath.Join(root, "test", "bench", "peer")
	if _, err := goCommand(ctx, peer, "list", "-deps", "."); err != nil {
		return p, fmt.Errorf("%w: %w", errDownload, err)
	}
	for _, step := range []struct{ in, program, target string }{
		{root, "./cmd/kycbridge", p.kycbridge},
		{root, natsServer, p.nats},
		{peer, ".", p.peer},
	} {
		progress("build %s", filepath.Base(step.target))
		if _, err := goCommand(ctx, step.in, "build", "-trimpath", "-o", step.target, step.program); err != nil {
			return p, err
		}
	}
	return p, nil
}

const natsServer = "github.com/nats-io/nats-server/v2"

// moduleRoot is the folder of the module kycbridge, in which this command must be started.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Path}} {{.Dir}}")
	if err != nil {
		return "", err
	}
	path, dir, _ := strings.Cut(out, " ")
	if path != "kycbridge" {
		return "", fmt.Errorf("this is the module %s: start the command in the folder of kycbridge", path)
	}
	return dir, nil
}

// goCommand runs the go command and returns what it prints.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimSpace(string(out)), nil
}
