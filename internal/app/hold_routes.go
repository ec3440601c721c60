package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"kycbridge/handlers"
	"kycbridge/internal/archive"
)

// holdQuestion are the options of a hold and of a release.
type holdQuestion struct {
	Verification string    `json:"verification"`
	Until        time.Time `json:"until"`
}

func holdOptions(r handlers.PayloadRequest) (q holdQuestion, err error) {
	if err := json.Unmarshal(r.Options, &q); err != nil {
		return q, fmt.Errorf("a valid request cannot be decoded: %w", err)
	}
	if err := (archive.Filter{Verification: q.Verification}).Check(); err != nil {
		return q, handlers.InvalidRequest("/verification", "must be the id of a verification")
	}
	return q, nil
}

func (p payloadTool) hold(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	q, err := holdOptions(r)
	if err != nil {
		return err
	}
	if !q.Until.IsZero() && !q.Until.After(a.Now()) {
		return handlers.InvalidRequest("/until", "must be a time in the future")
	}
	held, err := a.Hold(ctx, q.Verification, r.Reason, r.By, q.Until)
	if err != nil {
		return err
	}
	return writeLine(out, held)
}

func (p payloadTool) release(ctx context.Context, a *archive.Archive, r handlers.PayloadRequest, out io.Writer) error {
	q, err := holdOptions(r)
	if err != nil {
		return err
	}
	held, err := a.Release(ctx, q.Verification, r.Reason, r.By)
	if err != nil {
		return err
	}
	return writeLine(out, held)
}

func (p payloadTool) holds(ctx context.Context, a *archive.Archive, _ handlers.PayloadRequest, out io.Writer) error {
	all, err := a.ListHolds(ctx)
	for _, h := range all {
		if err := writeLine(out, h); err != nil {
			return err
		}
	}
	return err
}
