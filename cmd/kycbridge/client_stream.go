package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// request is a request without a time limit for its answer.
type request struct {
	method, path string
	query        url.Values
	body         io.Reader
	mediaType    string
}

// open sends a request and returns the body of its answer, which the caller closes. Its errors are
// readable sentences.
func (c *apiClient) open(ctx context.Context, q request) (io.ReadCloser, error) {
	address := c.base + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, address, q.body)
	if err != nil {
		return nil, errors.New("the address of the admin API cannot be used")
	}
	if q.mediaType != "" {
		r.Header.Set("Content-Type", q.mediaType)
	}
	res, err := c.do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, c.unreachable(err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	got := answer{status: res.StatusCode, header: res.Header}
	if got.body, err = io.ReadAll(io.LimitReader(res.Body, apiLargest)); err != nil {
		return nil, fmt.Errorf("the answer of the admin API at %s is incomplete: %s", c.base, cause(err))
	}
	return nil, c.refused(got)
}

// object decodes an answer of one JSON object.
func (c *apiClient) object(ctx context.Context, q request, into any) error {
	body, err := c.open(ctx, q)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return c.incompleteAnswer(ctx, err)
	}
	return nil
}

// lines decodes an answer of one JSON object per line.
func (c *apiClient) lines(ctx context.Context, q request, each func(line []byte) error) error {
	body, err := c.open(ctx, q)
	if err != nil {
		return err
	}
	defer body.Close()
	reader := bufio.NewReaderSize(body, 1<<16)
	for {
		l, err := reader.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(l) == 0:
			return nil
		case err != nil:
			return c.incompleteAnswer(ctx, err)
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

// incompleteAnswer is the error of a truncated answer.
func (c *apiClient) incompleteAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return apiAway{fmt.Errorf("the answer of the admin API at %s is incomplete: %s; run the command again", c.base,
		cause(err)), c.base, cause(err)}
}

// apiAway is the error of an admin API that does not answer, or not to the end.
type apiAway struct {
	error
	base, why string
}

// unreachable is the error of a request that was not sent.
func (c *apiClient) unreachable(err error) error {
	return apiAway{fmt.Errorf("cannot reach the admin API at %s: %s; kycbridge serve must run there with admin.tokens, "+
		"or name its address with --api", c.base, cause(err)), c.base, cause(err)}
}
