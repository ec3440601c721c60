// Package handlers is the HTTP edge of the bridge: the callback route that providers post to, the
// admin routes (health, readiness, metrics, bearer tokens for what is added later) and, one file a
// provider, the authentication of callbacks.
//
// A callback takes one path, Callbacks.receive, top to bottom: account, source address, media type,
// body, then the Receiver, which authenticates and stores. The answer is 200 only for a receipt,
// that is for a payload which is durable; a fault of ours is always 503 with Retry-After. The table
// in problem.go is the only place that turns an error into a status.
package handlers
