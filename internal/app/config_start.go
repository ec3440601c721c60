package app

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

// CheckFiles checks the files of the connections to external NATS servers. LoadConfig does not read them: a
// configuration may be checked on another machine. The error is a *ConfigError with every fault.
func (c *Config) CheckFiles() error {
	var faults []Fault
	for _, server := range []struct {
		key string
		Server
	}{{"store", c.Store}, {"bus", c.Bus}} {
		if server.IsEmbedded() {
			continue
		}
		for _, file := range []struct{ key, path string }{{"credentials_file", server.CredentialsFile},
			{"tls.ca", server.TLS.CA}, {"tls.cert", server.TLS.Cert}, {"tls.key", server.TLS.Key}} {
			if file.path == "" {
				continue
			}
			f := Fault{Key: join(server.key, file.key)}
			raw, err := readFile(file.path)
			switch {
			case err != nil:
				f.Problem = "the file cannot be read: " + err.Error()
				f.Remedy = "name a readable file"
			case !bytes.Contains(raw, []byte("-----BEGIN ")):
				f.Problem = "the file has no block that begins with -----BEGIN"
				f.Remedy = "name a file in PEM, or for credentials_file one with a JWT and a seed"
			default:
				continue
			}
			f.Problem += pathShown(file.path)
			faults = append(faults, f)
		}
	}
	if faults == nil {
		return nil
	}
	return &ConfigError{Faults: faults}
}

// StartFault is an error of Start with the key that it is about and what to write there, where the error is about
// the machine: an address, the data directory, a NATS server.
func (c *Config) StartFault(err error) error {
	if key, address := c.listenerOf(err); key != "" {
		return fmt.Errorf("%s: %s", key, ListenProblem(address, err))
	}
	if fault := c.dataDirFault(err); fault != nil {
		return fault
	}
	for key, server := range map[string]Server{"store": c.Store, "bus": c.Bus} {
		if strings.HasPrefix(fmt.Sprint(err), "connect "+key+" to NATS ") {
			return natsFault(key, publisher.Redacted(server.URL), err)
		}
	}
	return err
}

// dataDirFault is an error of Start that is about the data directory; nil for any other error.
func (c *Config) dataDirFault(err error) error {
	for _, full := range []string{"the disk under " + c.DataDir + " is full",
		"no inode is free on the file system of " + c.DataDir + ": remove files there"} { // see publisher.Embedded.Explain
		if strings.HasSuffix(fmt.Sprint(err), full) {
			return fmt.Errorf("data_dir: %s; make room, kycbridge cannot start without", full)
		}
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok && c.inDataDir(path.Path) {
		return fmt.Errorf("data_dir: the folder %s cannot be used: %s: %w; name one in which this user may create, read and "+
			"write files", c.DataDir, path.Path, path.Err)
	}
	return nil
}

// openFault is an error of a command that opens the data directory itself, with what to do if it is about a file there.
func (c *Config) openFault(err error) error {
	path, ok := errors.AsType[*fs.PathError](err)
	if !ok || !c.inDataDir(path.Path) {
		return err
	}
	remedy := "run the command as the user that runs serve"
	if errors.Is(err, syscall.EROFS) {
		remedy = "a command locks the folder and the server writes there: make it writable, or use a copy"
	} else if !errors.Is(err, fs.ErrPermission) {
		return cmp.Or(c.dataDirFault(err), err)
	}
	return fmt.Errorf("data_dir: the store in %s cannot be opened: %s: %w; %s", c.DataDir, path.Path, path.Err, remedy)
}

// natsFault is the error of a connection to the NATS server of store or bus at an address.
func natsFault(key, address string, err error) error {
	var late interface{ Timeout() bool }
	_, noHost := errors.AsType[*net.DNSError](err)
	switch {
	case noHost:
		return fmt.Errorf("%s.url: no such host: %s; correct the address", key, address)
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("%s.url: no NATS server answers at %s; start it, or correct the address", key, address)
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("%s.url: there is no answer of a NATS server at %s; correct the address", key, address)
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("%[1]s: the NATS server at %[2]s refuses this user; correct %[1]s.username and its password, "+
			"%[1]s.token or %[1]s.credentials_file", key, address)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// listenerOf is the key of the listener that could not be opened, and its address; "" for any other error.
func (c *Config) listenerOf(err error) (key, address string) {
	if failed, ok := errors.AsType[*net.OpError](err); !ok || failed.Op != "listen" {
		return "", ""
	}
	switch text := err.Error(); {
	case strings.HasPrefix(text, "listen for callbacks:"):
		return "listen", c.Listen
	case strings.HasPrefix(text, "listen for admin:"):
		return "admin.listen", c.Admin.Listen
	}
	return "embedded.listen", c.Embedded.Listen
}

// inDataDir reports whether a path is in the data directory, or on the way to it.
func (c *Config) inDataDir(path string) bool {
	for _, pair := range [][2]string{{c.DataDir, path}, {path, c.DataDir}} {
		if below, err := filepath.Rel(pair[0], pair[1]); err == nil && filepath.IsLocal(below) {
			return true
		}
	}
	return false
}

// ListenAddress reports whether an address is one to listen on: host:port, or "" for a free port.
func ListenAddress(address string) bool {
	_, _, ok := hostPort(address)
	return ok || address == ""
}

// ListenProblem is why a program cannot listen on an address, and what to do.
func ListenProblem(address string, err error) string {
	unknown, noHost := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return address + " is in use by another program; stop it, or write another port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return address + " is no address of this machine; write one of its addresses, such as 127.0.0.1"
	case errors.Is(err, syscall.EACCES):
		return "this user may not listen on " + address + "; write a port above 1023"
	case noHost:
		return "there is no host " + unknown.Name + "; write an address of this machine, such as 127.0.0.1"
	}
	return "cannot listen on " + address + ": " + err.Error()
}

// ConnectProblem is why a connection to a NATS server could not be made, and what to do; "" for other errors.
func ConnectProblem(err error) string {
	switch {
	case errors.Is(err, nats.ErrNoServers):
		return "no NATS server answers there"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server does not use TLS: write nats:// instead of tls://"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "the server requires TLS: write tls:// instead of nats://"
	}
	return ""
}

// ConnectionLost reports whether a request failed because its connection to NATS was lost.
func ConnectionLost(err error) bool {
	return slices.ContainsFunc([]error{nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, nats.ErrNoServers}, func(cause error) bool { return errors.Is(err, cause) })
}
