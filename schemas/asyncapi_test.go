package schemas

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// shapes are the objects of AsyncAPI 3.0 by their permitted members, as far as this project could use
// them. "!" is required. After "=" is the shape of the value: in braces, of each member of a map; in
// brackets, of each item of a list. "text" and "texts" are strings.
var shapes = map[string]string{
	"document": "asyncapi!=text id=text info!=info servers={server} defaultContentType=text channels={channel} " +
		"operations={operation} components=components",
	"info": "title!=text version!=text description=text termsOfService=text contact=contact license=license " +
		"tags=[tag] externalDocs=docs",
	"contact": "name=text url=text email=text",
	"license": "name!=text url=text",
	"tag":     "name!=text description=text externalDocs=docs",
	"docs":    "url!=text description=text",
	"server": "host!=text protocol!=text protocolVersion=text pathname=text title=text summary=text description=text " +
		"variables={variable} " +
		"security=[security] tags=[tag] externalDocs=docs bindings=none",
	"variable": "enum=texts default=text description=text examples=texts",
	"channel": "address=address messages={message} title=text summary=text description=text servers=[server] " +
		"parameters={parameter} tags=[tag] externalDocs=docs bindings=none",
	"parameter": "enum=texts default=text description=text examples=texts location=text",
	"operation": "action!=action channel!=channel messages=[message] title=text summary=text description=text " +
		"security=[security] tags=[tag] externalDocs=docs bindings=bindings reply=reply",
	"bindings": "nats=nats",
	"nats":     "queue=text bindingVersion=text",
	"none":     "",
	"reply":    "address=replyAddress channel=channel messages=[message]",
	"message": "headers=schema payload=schema correlationId=correlation contentType=text name=text title=text " +
		"summary=text description=text " +
		"tags=[tag] externalDocs=docs bindings=none examples=[example]",
	"correlation":  "location!=text description=text",
	"replyAddress": "location!=text description=text",
	"example":      "headers=any payload=any name=text summary=text",
	"components": "schemas={schema} servers={server} channels={channel} operations={operation} messages={message} " +
		"securitySchemes={security} " +
		"serverVariables={variable} parameters={parameter} correlationIds={correlation} replies={reply} " +
		"externalDocs={docs} tags={tag} operationBindings={bindings}",
	"security": "type!=text description=text",
}

// reader compares a document with the shapes.
type reader struct {
	t        *testing.T
	document map[string]any
	used     map[string]bool // targets of $refs
}

// asyncTree is the parsed document; numbers and all other values are as in YAML.
func asyncTree(t *testing.T) map[string]any {
	t.Helper()
	var document map[string]any
	if err := yaml.Unmarshal(newSet(t).AsyncAPI(), &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// TestAsyncAPIShape: the document has only members of AsyncAPI 3.0 and all required ones, and every $ref
// has a target of the expected kind.
func TestAsyncAPIShape(t *testing.T) {
	document := asyncTree(t)
	if document["asyncapi"] != "3.0.0" {
		t.Errorf("version %v", document["asyncapi"])
	}
	r := reader{t, document, map[string]bool{}}
	r.object("", document, "document")
	for kind, members := range document["components"].(map[string]any) {
		for name := range members.(map[string]any) {
			// Operations of consumers and the schema with an $id are used by others.
			if ref := "#/components/" + kind + "/" + name; !r.used[ref] && kind != "operations" && name != "VerificationData" {
				t.Errorf("%s is not used", ref)
			}
		}
	}
}

// value checks a value against the shape after "=".
func (r *reader) value(place string, node any, want string) {
	list, isList := node.([]any)
	object, isObject := node.(map[string]any)
	word, isText := node.(string)
	ok := true
	switch {
	case want == "any":
	case want == "schema":
		ok = isObject
		r.refs(place, node)
	case want == "text":
		ok = isText && word != ""
	case want == "action":
		ok = word == "send" || word == "receive"
	case want == "address":
		ok = node == nil || isText && regexp.MustCompile(`^[a-z0-9{}_]+(\.[a-z0-9{}_]+)*$`).MatchString(word)
	case want == "texts":
		ok = isList && !slices.ContainsFunc(list, func(v any) bool { _, text := v.(string); return !text })
	case strings.HasPrefix(want, "{"):
		ok = isObject
		for name, member := range object {
			if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(name) {
				r.t.Errorf("%s: %q cannot be a name", place, name)
			}
			r.value(place+"/"+name, member, strings.Trim(want, "{}"))
		}
	case strings.HasPrefix(want, "["):
		ok = isList
		for i, item := range list {
			r.value(fmt.Sprint(place, "/", i), item, strings.Trim(want, "[]"))
		}
	default:
		ok = isObject
		for ref, isRef := object["$ref"].(string); isRef; ref, isRef = object["$ref"].(string) {
			object, _ = r.target(place, ref).(map[string]any)
		}
		r.object(place, object, want)
	}
	if !ok {
		r.t.Errorf("%s is no %s", place, want)
	}
}

// object checks the members of an object.
func (r *reader) object(place string, object map[string]any, shape string) {
	members, known := shapes[shape]
	if !known {
		r.t.Fatalf("there is no shape %s", shape)
	}
	kinds := map[string]string{}
	for _, member := range strings.Fields(members) {
		name, kind, _ := strings.Cut(member, "=")
		if name, required := strings.CutSuffix(name, "!"); required && object[name] == nil {
			r.t.Errorf("%s has no %s", place, name)
		}
		kinds[strings.TrimSuffix(name, "!")] = kind
	}
	for name, value := range object {
		kind, known := kinds[name]
		switch {
		case regexp.MustCompile(`^x-[\w.-]+$`).MatchString(name):
		case known:
			r.value(place+"/"+name, value, kind)
		default:
			r.t.Errorf("%s: AsyncAPI knows no %s here", place, name)
		}
	}
}

// refs follows the references of a schema.
func (r *reader) refs(place string, node any) {
	nodes(place, node, func(place string, object map[string]any) {
		if ref, ok := object["$ref"].(string); ok {
			r.target(place, ref)
		}
	})
}

// target is the target of a reference, in the document or in a file of this folder.
func (r *reader) target(place, ref string) any {
	r.used[ref] = true
	file, fragment, _ := strings.Cut(ref, "#")
	tree := any(r.document)
	if file != "" {
		raw, err := files.ReadFile(file)
		if err != nil {
			r.t.Errorf("%s: %s: %v", place, ref, err)
			return nil
		}
		tree = decoded(r.t, raw)
	}
	if fragment != "" {
		tree = walk(tree, strings.Split(strings.TrimPrefix(fragment, "/"), "/"))
	}
	if tree == nil {
		r.t.Errorf("%s: %s leads nowhere", place, ref)
	}
	return tree
}

// ref is the reference at a pointer below node.
func ref(node any, tokens ...string) string {
	s, _ := walk(node, append(tokens, "$ref")).(string)
	return s
}

// TestAsyncAPIChannels: the parameters are those of the address, each with a pattern or a list; operations
// name a channel of the document and messages of that channel.
func TestAsyncAPIChannels(t *testing.T) {
	document := asyncTree(t)
	r := reader{t, document, map[string]bool{}}
	for name, node := range document["channels"].(map[string]any) {
		channel := node.(map[string]any)
		address, _ := channel["address"].(string)
		var inAddress []string
		for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(address, -1) {
			inAddress = append(inAddress, m[1])
		}
		parameters, _ := channel["parameters"].(map[string]any)
		slices.Sort(inAddress)
		if said := slices.Sorted(maps.Keys(parameters)); !slices.Equal(said, inAddress) {
			t.Errorf("channel %s: parameters %v, the address has %v", name, said, inAddress)
		}
		for parameter, node := range parameters {
			object := node.(map[string]any)
			if to, ok := object["$ref"].(string); ok {
				object = r.target(name, to).(map[string]any)
			}
			pattern, _ := object["x-pattern"].(string)
			if (pattern == "") == (object["enum"] == nil) {
				t.Errorf("channel %s: %s needs either a pattern or a list", name, parameter)
			}
			examples, _ := object["examples"].([]any)
			for _, example := range examples {
				if !regexp.MustCompile(pattern).MatchString(example.(string)) {
					t.Errorf("channel %s: %v is no example of %s", name, example, parameter)
				}
			}
		}
		servers, _ := channel["servers"].([]any)
		for _, server := range servers {
			if !strings.HasPrefix(ref(server), "#/servers/") {
				t.Errorf("channel %s: %v is none of the servers", name, server)
			}
		}
	}
	operations := maps.Clone(document["operations"].(map[string]any))
	maps.Copy(operations, walk(document, []string{"components", "operations"}).(map[string]any))
	for name, operation := range operations {
		for _, side := range []any{operation, walk(operation, []string{"reply"})} {
			if side == nil {
				continue
			}
			channel := ref(side, "channel")
			messages, _ := walk(side, []string{"messages"}).([]any)
			if !strings.HasPrefix(channel, "#/channels/") || len(messages) == 0 {
				t.Errorf("operation %s: channel %q, %d messages", name, channel, len(messages))
			}
			for _, message := range messages {
				if !strings.HasPrefix(ref(message), channel+"/messages/") {
					t.Errorf("operation %s: %v is no message of %s", name, message, channel)
				}
			}
		}
		if queue, _ := walk(operation, []string{"bindings", "nats", "queue"}).(string); len(queue) > 255 {
			t.Errorf("operation %s: the queue's name is too long", name)
		}
	}
}

// TestAsyncAPIAgrees: content that the document repeats from other files is the same.
func TestAsyncAPIAgrees(t *testing.T) {
	document, set := asyncTree(t), newSet(t)
	for id, file := range document["x-schemas"].(map[string]any) {
		raw, err := files.ReadFile(file.(string))
		if err != nil || decoded(t, raw)["$id"] != id {
			t.Errorf("%s is not the $id of %s", id, file)
		}
	}
	raw, _ := set.Source(eventFolder, eventData)
	token := walk(decoded(t, raw), []string{"$defs", "token", "pattern"})
	for _, parameter := range []string{"provider", "account", "watchedProvider", "watchedAccount"} {
		if got := walk(document, []string{"components", "parameters", parameter, "x-pattern"}); got != token {
			t.Errorf("%s: pattern %v, the event's is %v", parameter, got, token)
		}
	}
	// A request on the bus has the same members as one over HTTP.
	overHTTP := slices.Sorted(maps.Keys(walk(decoded(t, set.OpenAPI()),
		[]string{"components", "schemas", "WatchRequest", "properties"}).(map[string]any)))
	properties := walk(document, []string{"components", "schemas", "WatchRequest", "properties"}).(map[string]any)
	if onBus := slices.Sorted(maps.Keys(properties)); !reflect.DeepEqual(onBus, overHTTP) {
		t.Errorf("members on the bus %v, over HTTP %v", onBus, overHTTP)
	}
	for member := range properties {
		if to := ref(properties, member); !strings.HasSuffix(to, "/WatchRequest/properties/"+member) {
			t.Errorf("%s refers to %s", member, to)
		}
	}
	for _, place := range [][]string{{"info", "description"},
		{"components", "messages", "VerificationEvent", "description"}} {
		text, _ := walk(document, place).(string)
		for _, word := range []string{"data.decision.outcome", "`approved`", "data.decision.final", "`true`"} {
			if !strings.Contains(text, word) {
				t.Errorf("%v does not tell the rule: no %s", place, word)
			}
		}
	}
}

// TestAsyncAPIText: the published text is that of the file, in a copy that a caller can change safely.
func TestAsyncAPIText(t *testing.T) {
	onDisk, err := os.ReadFile(filepath.Join(".", "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	set := newSet(t)
	set.AsyncAPI()[0] = 'X'
	if string(set.AsyncAPI()) != string(onDisk) {
		t.Error("it differs from its file")
	}
}
