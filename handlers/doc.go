// Package handlers is the HTTP layer of the bridge: the callback route that providers post to, the route for
// access tokens, the admin routes (health, readiness, metrics) and the admin API.
// A callback is processed in Callbacks.receive, top to bottom: account, source address, media type, body,
// then the Receiver, which authenticates and stores. The answer is 200 only for a receipt, that is for a
// durable payload; an internal fault is always 503 with Retry-After. The table in problem.go is the only
// place that turns an error into a status.
package handlers
