package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"kycbridge/handlers"
	"kycbridge/internal/poll"
)

// startReceiver serves callbacks.
func (a *App) startReceiver(ready map[string]func(context.Context) error) error {
	callbacks := handlers.NewCallbacks(handlers.CallbackOptions{
		Accounts:       liveAccounts{a.system},
		Receiver:       a.receiver(),
		Logger:         a.log,
		MaxBody:        int64(a.config.Receive.MaxBody),
		CallbackLimits: a.config.callbackLimits(),
		Observe:        a.received,
		ObserveToken:   a.metrics.tokenRequested,
		KeepUnknown:    a.intake.KeepUnknownAccount,
	})
	a.callbacks = callbacks
	ready["receiver"] = callbacks.Ready
	addr, stop, err := a.serve("callbacks", a.config.Listen, a.config.TLS, callbacks)
	if err != nil {
		return err
	}
	a.addr.callbacks = addr
	a.onStop(func() {
		callbacks.Drain()
		stop()
	})
	return nil
}

// callbackLimits are the limits of callbacks.
func (c *Config) callbackLimits() handlers.CallbackLimits {
	r := c.Receive
	return handlers.CallbackLimits{Concurrency: r.Concurrency, RatePerSecond: r.RequestsPerSecond, Timeout: r.Timeout,
		TrustedProxies: c.Proxies()}
}

// receiver is the intake, with traces if they are enabled.
func (a *App) receiver() interface {
	handlers.Receiver
	poll.Ingester
} {
	if a.tracing == nil {
		return a.intake
	}
	return receiver{a.intake, a.tracing}
}

// startAdmin serves health, metrics, the API and the console.
func (a *App) startAdmin(ready map[string]func(context.Context) error) error {
	consoleHandler := a.newConsole()
	o := handlers.AdminOptions{Ready: ready, Metrics: a.metrics.handler(), Console: consoleHandler, Logger: a.log}
	if a.signing != nil {
		o.KeySet = a.signing.Set()
	}
	admin := handlers.NewAdmin(o)
	handlers.AddAPI(admin, a.apiOptions())
	handlers.AddPayloads(admin, a.apiOptions(), a.PayloadTool())
	addr, stop, err := a.serve("admin", a.config.Admin.Listen, a.config.Admin.TLS, admin)
	if err != nil {
		consoleHandler.Close()
		return err
	}
	a.addr.admin = addr
	a.onStop(func() {
		consoleHandler.Close() // its live views do not end by themselves
		stop()
	})
	return nil
}

// serve runs an HTTP server until stop, which waits for running requests.
func (a *App) serve(name, listen string, files ListenTLS, h http.Handler) (addr string, stop func(), err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", listen)
	if err != nil {
		return "", nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	address := listener.Addr().String()
	if files.enabled() {
		if listener, err = a.listenTLS(name, files, listener); err != nil {
			return "", nil, fmt.Errorf("listen for %s: %w", name, err)
		}
	}
	var working sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			working.Add(1)
			defer working.Done()
			h.ServeHTTP(w, withTLS(r))
		}),
		ConnContext:       tlsContext,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// OPTIONS * is an ordinary request: counted, and no 200.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     zap.NewStdLog(zap.NewNop()), // a caller's broken connection is not logged
	}
	if files.enabled() {
		serveHTTP2(server)
	}
	var running sync.WaitGroup
	running.Go(func() {
		err := server.Serve(newEarlyRefusalListener(listener, a.countEarlyRefusal))
		if !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve %s: %w", name, err))
		}
	})
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.config.Receive.Drain)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
		running.Wait()
		// A request that starts a verification at a slow provider must finish before the store is closed.
		working.Wait()
	}
	return address, stop, nil
}
