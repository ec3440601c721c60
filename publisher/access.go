package publisher

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
)

// The embedded server has an account of ours and one for each consumer, because within one account a
// client can name any subject as the place where an answer goes, a stream's included, and can listen
// to the answers that others get. Ours holds streams and subjects; consumers see of it what is
// imported into theirs: events, and the API to read them from the stream.
const (
	ownAccount      = "KYC"
	consumerAccount = "CONSUMERS"
	anonymous       = "consumer" // whoever connects without a user, if no user is configured
)

// accounts writes the server's configuration of accounts, users and what crosses between them.
func accounts(o EmbeddedOptions, password string) string {
	var exports, imports []string
	export := func(kind, subject, more string) {
		exports = append(exports, fmt.Sprintf("{%s: %q%s}", kind, subject, more))
		imports = append(imports, fmt.Sprintf("{%s: {account: %s, subject: %q}}", kind, ownAccount, subject))
	}
	export("stream", o.Names.EventSubjects(), "")
	// The API is imported whole, or the server would put that of the other, empty account before it;
	// what a consumer may ask is up to the permissions of its user.
	export("service", "$JS.API.>", ", response_type: stream")
	export("service", "$JS.ACK."+o.Names.events()+".>", "")
	export("service", o.Names.watches(), "") // for users that may publish there; the answer is the stream's
	users, fallback := consumers(o)
	var of strings.Builder
	for i, u := range users {
		// One account each: answers come to inboxes, and within an account everybody may listen to everybody's.
		fmt.Fprintf(&of, "%s_%d {\nusers: [%s]\nimports: [%s]\n}\n", consumerAccount, i, u, strings.Join(imports, "\n"))
	}
	return fmt.Sprintf("accounts {\n%s {\njetstream: enabled\nusers: [%s]\nexports: [%s]\n}\n%s}\n%s",
		ownAccount, user(operator, password, ""), strings.Join(exports, "\n"), of.String(), fallback)
}

// consumers are the configured users, or one without a password if there are none.
func consumers(o EmbeddedOptions) (users []string, fallback string) {
	api := append([]string{"$JS.API.INFO"}, readAPI(o.Names)...)
	for _, u := range o.Users {
		publish, subscribe := api, []string{o.Names.EventSubjects()}
		if len(u.Subscribe) > 0 {
			// Reading from the stream knows no subjects: who may see some events only gets them live.
			publish, subscribe = nil, u.Subscribe
		}
		users = append(users, user(u.Username, u.Password, permissions(append(publish, u.Publish...), subscribe)))
	}
	if len(users) == 0 {
		users = append(users, user(anonymous, rand.Text(), permissions(api, []string{o.Names.EventSubjects()})))
		fallback = "no_auth_user: " + anonymous + "\n"
	}
	return users, fallback
}

// readAPI is the part of the JetStream API that reading the event stream takes.
func readAPI(n Names) []string {
	s := n.events()
	return []string{
		"$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO." + s, "$JS.API.STREAM.MSG.GET." + s,
		"$JS.API.DIRECT.GET." + s, "$JS.API.DIRECT.GET." + s + ".>",
		"$JS.API.CONSUMER.CREATE." + s, "$JS.API.CONSUMER.CREATE." + s + ".>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + s + ".>", "$JS.API.CONSUMER.DELETE." + s + ".>",
		"$JS.API.CONSUMER.INFO." + s + ".>", "$JS.API.CONSUMER.NAMES." + s, "$JS.API.CONSUMER.LIST." + s,
		"$JS.API.CONSUMER.MSG.NEXT." + s + ".>", "$JS.ACK." + s + ".>",
	}
}

func user(name, password, permissions string) string {
	return fmt.Sprintf("{user: %s, password: %s%s}", strconv.Quote(name), strconv.Quote(password), permissions)
}

// neverAllowed is what no consumer may ask, whatever the configuration lets it publish: it would
// change or end a stream of ours.
const neverAllowed = `"$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.UPDATE.>", "$JS.API.STREAM.DELETE.>", "$JS.API.STREAM.PURGE.>", "$JS.API.STREAM.MSG.DELETE.>", "$JS.API.STREAM.RESTORE.>", "$JS.API.STREAM.SNAPSHOT.>"`

func permissions(publish, subscribe []string) string {
	// An empty list would allow everything.
	may := `deny: [">"]`
	if len(publish) > 0 {
		may = "allow: [" + quoted(publish) + "], deny: [" + neverAllowed + "]"
	}
	return fmt.Sprintf(", permissions: {publish: {%s}, subscribe: {allow: [%s]}}", may, quoted(append(subscribe, "_INBOX.>")))
}

func quoted(subjects []string) string {
	q := make([]string, len(subjects))
	for i, s := range subjects {
		q[i] = strconv.Quote(s)
	}
	return strings.Join(q, ", ")
}
