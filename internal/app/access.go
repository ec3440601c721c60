package app

import (
	"context"

	"kycbridge"
	"kycbridge/handlers"
)

// holders are those who may use the admin API and the console now.
func (a *App) holders() handlers.Holders {
	return a.live.Load().holders
}

// AccessLog is the access log of the app.
func (a *App) AccessLog() handlers.AccessLog { return accessLog{a} }

// accessLog stores the access log in the store.
type accessLog struct{ *App }

// StoreAccess stores a record and returns when it is durable.
func (l accessLog) StoreAccess(ctx context.Context, a kycbridge.Access) error {
	return l.store.StoreAccess(ctx, a)
}

// NoteAccess queues a record, which is stored soon afterwards.
func (l accessLog) NoteAccess(a kycbridge.Access) {
	if !l.store.NoteAccess(a) {
		l.droppedLogs.Do(func() {
			l.log.Error("access not recorded: too many records wait for the store; kycbridge_access_dropped_total counts them")
		})
	}
}
