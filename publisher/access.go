package publisher

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The embedded server has one account for kycbridge and one for each consumer. Within a single account a
// client can name any subject as a reply subject, also that of a stream, and can subscribe to the replies
// of other clients. The account of kycbridge holds streams and subjects. A consumer's account imports its
// events and its replies from there, and exports its requests, which Readers answers. No request from a
// consumer's account reaches the JetStream API.
const (
	ownAccount      = "KYC"
	consumerAccount = "CONSUMERS"
	anonymous       = "consumer"  // user name that the server gives to clients without one, if no user is configured
	anonymousOwner  = "anonymous" // owner of the consumers of such clients
)

// Limits of one consumer on the server.
const (
	readerConnections   = 64
	readerSubscriptions = 50       // of one connection
	readerPayload       = 64 << 10 // bytes: of a request
)

// accounts writes the server's configuration of accounts, users, and imports and exports between accounts.
func accounts(o EmbeddedOptions, password string) string {
	users, fallback := consumers(o)
	var exports, imports []string
	var of strings.Builder
	for i, owner := range owners(o) {
		account := fmt.Sprint(consumerAccount, "_", i)
		exports = append(exports, fmt.Sprintf("{stream: %q, accounts: [%s]}", o.Names.join("answer", owner.Name, ">"),
			account), fmt.Sprintf("{stream: %q, accounts: [%s]}", o.Names.checkpoint(), account))
		imports = append(imports, fmt.Sprintf("{stream: {account: %s, subject: %q}, to: %q}", account, o.Names.asks(">"),
			o.Names.join("reader", owner.Name, wholeScope, ">")))
		of.WriteString(account + readerAccount(o.Names, owner.Name, users[i]))
	}
	return fmt.Sprintf("accounts {\n%s {\njetstream: enabled\nusers: [%s]\nexports: [%s]\nimports: [%s]\n}\n%s}\n%s",
		ownAccount, user(operator, password, ""), strings.Join(exports, "\n"), strings.Join(imports, "\n"), of.String(),
		fallback)
}

// readerAccount is the account of one consumer. The mappings rename its requests to the JetStream API
// before the server handles them: every account has a JetStream API of its own, which is empty here and
// would answer first.
func readerAccount(n Names, owner, user string) string {
	return fmt.Sprintf(` {
users: [%s]
mappings: {"$JS.API.>": %q, "$JS.ACK.>": %q, %q: %q}
exports: [{stream: %q, accounts: [%s]}]
imports: [
{stream: {account: %s, subject: %q}, to: %q}
{stream: {account: %s, subject: %q}, to: "_INBOX.>"}
{stream: {account: %s, subject: %q}}
]
limits {max_connections: %d, max_subscriptions: %d, max_payload: %d}
}
`, user, n.asks(kindAPI+".>"), n.asks(kindAck+".>"), n.join("watch.>"), n.asks(kindWatch+".>"),
		n.asks(">"), ownAccount, ownAccount, n.join("answer", owner, n.EventSubjects()), n.EventSubjects(), ownAccount,
		n.join("answer", owner, "_INBOX.>"), ownAccount, n.checkpoint(),
		readerConnections, readerSubscriptions, readerPayload)
}

// Owner is a consumer of the embedded server, with the subjects that it may read from the event stream.
type Owner struct {
	Name    string   // of the user
	Filters []string // may contain wildcards
}

// owners are the consumers in the order of their accounts.
func owners(o EmbeddedOptions) (all []Owner) {
	whole := o.Names.EventSubjects()
	for _, u := range o.Users {
		owner := Owner{Name: ownerName(u.Username), Filters: []string{}}
		for _, s := range u.Subscribe {
			if within(whole, s) {
				s = whole
			}
			if within(s, whole) {
				owner.Filters = append(owner.Filters, s)
			}
		}
		if len(u.Subscribe) == 0 {
			owner.Filters = []string{whole}
		}
		all = append(all, owner)
	}
	if len(all) == 0 {
		all = []Owner{{anonymousOwner, []string{whole}}}
	}
	return all
}

// ownerName makes a token of a user's name, the same one at each start.
func ownerName(username string) string {
	if token(username) && len(username) <= 64 {
		return username
	}
	sum := sha256.Sum256([]byte(username))
	return "user_" + hex.EncodeToString(sum[:12])
}

// consumers are the configured users. If none is configured, clients need no credentials: fallback makes the
// server treat them as the user anonymous.
func consumers(o EmbeddedOptions) (users []string, fallback string) {
	var reads []string
	for _, s := range readAPI(o.Names) {
		reads = append(reads, o.Names.asked(s))
	}
	for _, u := range o.Users {
		publish, subscribe := reads, []string{o.Names.EventSubjects(), o.Names.checkpoint()}
		if len(u.Subscribe) > 0 {
			publish, subscribe = nil, u.Subscribe // live only
		}
		for _, s := range u.Publish {
			publish = append(publish, o.Names.asked(s))
		}
		users = append(users, user(u.Username, u.Password, permissions(publish, subscribe)))
	}
	if len(users) == 0 {
		users = append(users, user(anonymous, rand.Text(), permissions(reads,
			[]string{o.Names.EventSubjects(), o.Names.checkpoint()})))
		fallback = "no_auth_user: " + anonymous + "\n"
	}
	return users, fallback
}

// asks are the subjects, within a consumer's account, on which its requests arrive.
func (n Names) asks(tail string) string { return n.join("ask", tail) }

// asked is the subject on which a message to this subject arrives.
func (n Names) asked(subject string) string {
	for from, kind := range map[string]string{"$JS.API.": kindAPI, "$JS.ACK.": kindAck, n.join("watch."): kindWatch} {
		if tail, ok := strings.CutPrefix(subject, from); ok {
			return n.asks(kind + "." + tail)
		}
	}
	return subject
}

// readAPI is the part of the JetStream API that is needed to read the event stream. A consumer may be
// granted these subjects by name.
func readAPI(n Names) []string {
	s := n.events()
	return []string{
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO." + s,
		"$JS.API.STREAM.MSG.GET." + s,
		"$JS.API.DIRECT.GET." + s, "$JS.API.DIRECT.GET." + s + ".>",
		"$JS.API.CONSUMER.CREATE." + s, "$JS.API.CONSUMER.CREATE." + s + ".>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + s + ".>", "$JS.API.CONSUMER.DELETE." + s + ".>",
		"$JS.API.CONSUMER.INFO." + s + ".>", "$JS.API.CONSUMER.NAMES." + s, "$JS.API.CONSUMER.LIST." + s,
		"$JS.API.CONSUMER.MSG.NEXT." + s + ".>", "$JS.ACK." + s + ".>",
	}
}

// MayPublish reports whether a consumer of the embedded server may be granted these subjects for
// publishing: requests to watch, the requests that are needed to read the event stream, and foreign
// subjects. Any other subject is internal, or overlaps an internal one.
func (n Names) MayPublish(subject string) bool {
	if within(subject, n.join("watch.>")) {
		return true
	}
	for _, s := range readAPI(n) {
		if within(subject, s) {
			return true
		}
	}
	return n.foreign(subject)
}

// MaySubscribe reports whether a consumer of the embedded server may be granted these subjects for
// subscribing: events, checkpoints of the log, its own replies, and foreign subjects.
func (n Names) MaySubscribe(subject string) bool {
	return within(subject, n.join("event.>")) || subject == n.checkpoint() || n.foreign(subject)
}

// foreign reports whether subjects belong neither to kycbridge nor to the server, and do not overlap the
// subjects of kycbridge.
func (n Names) foreign(subject string) bool {
	first, _, _ := strings.Cut(subject, ".")
	system := strings.HasPrefix(first, "$") || strings.HasPrefix(first, "_") && first != "_INBOX"
	return first != "*" && first != ">" && !system && !meet(subject, n.join(">"))
}

// sound returns an error if a user has subjects that a consumer must not have.
func (o EmbeddedOptions) sound() error {
	for _, u := range o.Users {
		for _, s := range u.Publish {
			if !o.Names.MayPublish(s) {
				return fmt.Errorf(
					"user %s of the embedded NATS server may not be let publish on %q: it reaches what is not for consumers",
					u.Username, s)
			}
		}
		for _, s := range u.Subscribe {
			if !o.Names.MaySubscribe(s) {
				return fmt.Errorf(
					"user %s of the embedded NATS server may not be let subscribe to %q: it reaches what is not for consumers",
					u.Username, s)
			}
		}
	}
	return nil
}

func user(name, password, permissions string) string {
	return fmt.Sprintf("{user: %s, password: %s%s}", strconv.Quote(name), strconv.Quote(password), permissions)
}

func permissions(publish, subscribe []string) string {
	// An empty list would allow everything.
	may := `deny: [">"]`
	if len(publish) > 0 {
		may = "allow: [" + quoted(publish) + "]"
	}
	return fmt.Sprintf(", permissions: {publish: {%s}, subscribe: {allow: [%s]}}", may,
		quoted(append(subscribe, "_INBOX.>")))
}

func quoted(subjects []string) string {
	q := make([]string, len(subjects))
	for i, s := range subjects {
		q[i] = strconv.Quote(s)
	}
	return strings.Join(q, ", ")
}
