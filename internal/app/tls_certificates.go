package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// filesInterval is how often the files of a listener are compared with those in use.
const filesInterval = 2 * time.Second

// certificates are the files of a listener, read again when their contents change. If a file cannot be used, the
// previous files remain in use.
type certificates struct {
	listener string
	files    ListenTLS
	log      *zap.Logger
	used     func(expires time.Time) // called when new files are put into use
	current  atomic.Pointer[tlsFiles]
	fault    string // of the last attempt
	logged   bool   // fault was logged
}

// newCertificates reads the files. The error is the first fault.
func newCertificates(
	listener string, files ListenTLS, log *zap.Logger, used func(expires time.Time),
) (*certificates, error) {
	loaded, faults := files.load()
	if len(faults) > 0 {
		return nil, faults[0]
	}
	c := &certificates{listener: listener, files: files, log: log, used: used}
	c.use(loaded)
	if loaded.untimely != nil {
		log.Warn("a TLS certificate is not valid now: senders that check it do not connect",
			zap.String("listener", listener), zap.String("fault", loaded.untimely.Error()))
	}
	return c, nil
}

func (c *certificates) use(loaded *tlsFiles) {
	c.current.Store(loaded)
	c.used(loaded.leaf().NotAfter)
}

// config is the TLS configuration of the next handshake.
func (c *certificates) config() *tls.Config { return c.current.Load().config }

// watch reads the files again until ctx ends.
func (c *certificates) watch(ctx context.Context) {
	tick := time.NewTicker(filesInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload puts changed files into use. A fault is logged once, when it is found a second time: a certificate and its
// key are two files, which do not match until both have been written.
func (c *certificates) reload() {
	loaded, faults := c.files.load()
	used := c.current.Load()
	if loaded != nil && loaded.untimely != nil && used.untimely == nil && loaded.digest != used.digest {
		faults = []tlsFault{*loaded.untimely} // a certificate that is not valid now replaced a valid one
	}
	if len(faults) > 0 {
		fault := faults[0].Error()
		if fault != c.fault {
			c.fault, c.logged = fault, false
			return
		}
		if !c.logged {
			c.logged = true
			c.log.Warn("the TLS files cannot be used; what was read before remains in use",
				zap.String("listener", c.listener), zap.String("fault", fault))
		}
		return
	}
	c.fault, c.logged = "", false
	if loaded.digest == used.digest {
		return
	}
	c.use(loaded)
	c.log.Info("the TLS files were read again", zap.String("listener", c.listener),
		zap.Time("expires", loaded.leaf().NotAfter))
}

// trusted are the chains of a client certificate whose authority is still trusted.
func (c *certificates) trusted(chains [][]*x509.Certificate) [][]*x509.Certificate {
	if len(chains) == 0 {
		return nil
	}
	trust := c.current.Load().trust
	return slices.DeleteFunc(slices.Clone(chains), func(chain []*x509.Certificate) bool {
		return !trust[sha256.Sum256(chain[len(chain)-1].Raw)]
	})
}
