package app

import (
	"github.com/nats-io/nats.go"

	"kycbridge/publisher"
)

// natsOptions are the credentials and TLS settings of an external server as options of nats.go.
func natsOptions(s Server) []nats.Option {
	var options []nats.Option
	if s.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(s.CredentialsFile))
	}
	if s.Username != "" {
		options = append(options, nats.UserInfo(s.Username, s.Password.Reveal()))
	}
	if s.Token != "" {
		options = append(options, nats.Token(s.Token.Reveal()))
	}
	if s.TLS.CA != "" {
		options = append(options, nats.RootCAs(s.TLS.CA))
	}
	if s.TLS.Cert != "" {
		options = append(options, nats.ClientCert(s.TLS.Cert, s.TLS.Key))
	}
	return options
}

// embeddedUsers are the consumers of the embedded server.
func embeddedUsers(e Embedded) []publisher.User {
	users := make([]publisher.User, len(e.Users))
	for i, u := range e.Users {
		users[i] = publisher.User{Username: u.Username, Password: u.Password.Reveal(), Publish: u.Publish,
			Subscribe: u.Subscribe}
	}
	return users
}
