package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kycbridge/internal/ports"

	"github.com/nats-io/nats.go"
)

// clusterNodes is the number of NATS servers, and of the copies of each message.
const clusterNodes = 3

// startCluster returns a start of some processes of kycbridge at a cluster of NATS servers, which flush every message
// before they acknowledge it. Each process gets o.processors of a processor.
func startCluster(processes int) func(context.Context, programs, options, string) (*service, error) {
	return func(ctx context.Context, p programs, o options, dir string) (*service, error) {
		s := &service{}
		nodes, err := s.startNodes(ctx, p, o, dir)
		if err != nil {
			return s, err
		}
		url := "nats://" + strings.Join(nodes, ",nats://")
		addrs, err := ports.Free(ctx, 2*processes)
		if err != nil {
			return s, err
		}
		for i := range processes {
			callbacks, admin := addrs[2*i], addrs[2*i+1]
			file := filepath.Join(dir, fmt.Sprintf("kycbridge-%d.yaml", i))
			data := filepath.Join(dir, fmt.Sprint("data-", i))
			text := fmt.Sprintf("listen: %q\nadmin: {listen: %q}\ndata_dir: %q\nstore: {url: %q, replicas: %[5]d}\n"+
				"bus: {url: %[4]q, replicas: %[5]d}\n", callbacks, admin, data, url, clusterNodes)
			if err := os.WriteFile(file, []byte(text+accounts()), 0o600); err != nil {
				return s, err
			}
			process, err := startProcess(ctx, dir, o.fast(), p.kycbridge, "serve", "--config", file)
			if err != nil {
				return s, err
			}
			s.processes, s.callbacks = append(s.processes, process), append(s.callbacks, callbacks)
			process.quota.share = o.processors
			if err := process.quota.apply(process.cmd.Process.Pid); err != nil {
				return s, err
			}
			if err := process.ready(ctx, func() error { return answersOK(ctx, "http://"+admin+"/readyz") }); err != nil {
				return s, err
			}
		}
		return s, s.connect(strings.Join(nodes, ",nats://"))
	}
}

// startNodes starts the NATS servers and returns their addrs.
func (s *service) startNodes(ctx context.Context, p programs, o options, dir string) ([]string, error) {
	addrs, err := ports.Free(ctx, 2*clusterNodes)
	if err != nil {
		return nil, err
	}
	nodes, routes := addrs[:clusterNodes], addrs[clusterNodes:]
	for i, addr := range nodes {
		file := filepath.Join(dir, fmt.Sprintf("nats-%d.conf", i))
		text := fmt.Sprintf("server_name: node-%d\nlisten: %q\nmax_payload: 4194304\n"+
			"jetstream: {store_dir: %q, sync_interval: always}\n"+
			"cluster: {name: bench, listen: %q, routes: [\"nats://%s\"]}\n", i, addr, filepath.Join(dir, fmt.Sprint("nats-", i)),
			routes[i], strings.Join(routes, `", "nats://`))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		node, err := startProcess(ctx, dir, o, p.nats, "--config", file)
		if err != nil {
			return nil, err
		}
		s.processes = append(s.processes, node)
	}
	for i, addr := range nodes {
		err := s.processes[i].ready(ctx, func() error {
			nc, err := nats.Connect("nats://" + addr)
			if err == nil {
				nc.Close()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return nodes, nil
}
