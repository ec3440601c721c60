package container

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	mobycontainer "github.com/moby/moby/api/types/container"
	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// Credentials of the containers: synthetic, and letters and digits only, as the server's
// configuration requires.
const (
	bridgePassword   = "bridgeBridge1"
	readerPassword   = "readerReader1"
	ondatoPassword   = "ondatoOndato1"
	callbackPassword = "callback-password-3c1d"
	operatorToken    = "operator-token-90ab"
)

// node is a container that faults can be injected into.
type node struct {
	*testcontainers.DockerContainer
	name  string
	ports map[int]int // from the container's port to the port on 127.0.0.1; restarts keep it
}

func (n *node) address(port int) string { return freeport.Local(n.ports[port]) }

// cluster is kycbridge as docker-compose.yml runs it: NATS servers, replicas, and a proxy.
type cluster struct {
	t        *testing.T
	network  *testcontainers.DockerNetwork
	nats     []*node
	replicas []*node
	proxy    *node
	client   *http.Client
}

// newCluster starts servers, then replicas on them with accounts, and waits until all are ready.
// accounts is the list of the configuration file.
func newCluster(t *testing.T, servers, replicas int, accounts string) *cluster {
	t.Helper()
	images(t)
	c := &cluster{t: t, client: plainClient(t)}
	var err error
	c.network, err = network.New(t.Context())
	testcontainers.CleanupNetwork(t, c.network)
	if err != nil {
		t.Fatal(err)
	}
	for i := range servers {
		c.nats = append(c.nats, c.server(i+1, servers))
	}
	for i := range replicas {
		c.replicas = append(c.replicas,
			c.run(fmt.Sprint("kycbridge-", i+1), "kycbridge", []int{8080, 8081}, c.configuration(accounts)))
	}
	for _, r := range c.replicas {
		c.waitReady(r)
	}
	c.proxy = c.balancer()
	wait.For(t, 30*time.Second, "the proxy answers",
		func() bool { return c.get(c.proxy, 8081, "/readyz") == http.StatusOK })
	return c
}

func plainClient(t *testing.T) *http.Client {
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// run starts a container of the cluster, under its name in the network, without capabilities.
func (c *cluster) run(name, image string, ports []int, more ...testcontainers.ContainerCustomizer) *node {
	c.t.Helper()
	n := &node{name: name, ports: map[int]int{}}
	var exposed []string
	published := mobynetwork.PortMap{}
	for _, port := range ports {
		n.ports[port] = freeport.New(c.t)
		inside := mobynetwork.MustParsePort(fmt.Sprintf("%d/tcp", port))
		exposed = append(exposed, inside.String())
		published[inside] = []mobynetwork.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"),
			HostPort: strconv.Itoa(n.ports[port])}}
	}
	options := append([]testcontainers.ContainerCustomizer{
		network.WithNetwork([]string{name}, c.network), testcontainers.WithExposedPorts(exposed...),
		testcontainers.WithHostConfigModifier(func(h *mobycontainer.HostConfig) {
			h.PortBindings, h.CapDrop, h.SecurityOpt = published, []string{"ALL"}, []string{"no-new-privileges:true"}
		})}, more...)
	var err error
	n.DockerContainer, err = testcontainers.Run(c.t.Context(), image, options...)
	testcontainers.CleanupContainer(c.t, n.DockerContainer, testcontainers.StopTimeout(0))
	if err != nil {
		c.t.Fatalf("start %s: %v", name, err)
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("the end of the log of %s:\n%s", name, n.log(c.t, 4000))
		}
	})
	return n
}

// server is one node with the configuration of deploy/nats; a single node is not part of a NATS cluster.
func (c *cluster) server(number, of int) *node {
	raw, err := os.ReadFile(filepath.Join(root, "deploy", "nats", "nats.conf"))
	if err != nil {
		c.t.Fatal(err)
	}
	if of == 1 {
		raw = regexp.MustCompile(`(?ms)^cluster \{$.*?^\}$`).ReplaceAll(raw, nil)
	}
	var routes []string
	for i := range of {
		routes = append(routes, fmt.Sprintf(`"nats://route:routeRoute1@nats-%d:6222"`, i+1))
	}
	name := fmt.Sprint("nats-", number)
	return c.run(name, natsImage(c.t), []int{4222},
		testcontainers.WithCmd("--config", "/etc/nats/nats.conf"),
		// as in docker-compose.yml
		testcontainers.WithConfigModifier(func(c *mobycontainer.Config) { c.StopSignal = "SIGUSR2" }),
		testcontainers.WithFiles(text(string(raw), "/etc/nats/nats.conf"), testcontainers.ContainerFile{
			HostFilePath: filepath.Join(root, "deploy", "nats", "accounts.conf"), ContainerFilePath: "/etc/nats/accounts.conf",
			FileMode: 0o644}),
		testcontainers.WithEnv(map[string]string{
			"NATS_NAME": name, "NATS_STORE_DIR": "/store", "NATS_ROUTES": "[" + strings.Join(routes, ", ") + "]",
			"NATS_ROUTE_PASSWORD": "routeRoute1", "NATS_KYCBRIDGE_PASSWORD": bridgePassword,
			"NATS_READER_PASSWORD": readerPassword,
			"NATS_ONDATO_PASSWORD": ondatoPassword, "NATS_ONBOARDING_PASSWORD": "onboarding1",
			"NATS_SYSTEM_PASSWORD": "systemSystem1",
		}))
}

// configuration is the file of all replicas.
func (c *cluster) configuration(accounts string) testcontainers.CustomizeRequestOption {
	var urls []string
	for _, n := range c.nats {
		urls = append(urls, "nats://"+n.name+":4222")
	}
	config := fmt.Sprintf(`listen: 0.0.0.0:8080
admin: {listen: "0.0.0.0:8081", tokens: [%[1]s]}
data_dir: /tmp
store: %[2]s
bus: %[2]s
accounts:
%[3]s`, operatorToken, fmt.Sprintf("{url: %q, username: kycbridge, password: %s, replicas: %d}", strings.Join(urls, ","), bridgePassword, len(c.nats)), accounts)
	return testcontainers.WithFiles(text(config, "/etc/kycbridge/kycbridge.yaml"))
}

// balancer is the proxy of docker-compose.yml, configured for all replicas of the cluster.
func (c *cluster) balancer() *node {
	raw, err := os.ReadFile(filepath.Join(root, "deploy", "compose", "Caddyfile"))
	if err != nil {
		c.t.Fatal(err)
	}
	config := string(raw)
	if len(c.replicas) == 1 {
		config = strings.NewReplacer(" kycbridge-2:8080", "", " kycbridge-2:8081", "").Replace(config)
	}
	return c.run("proxy", caddyImage(c.t), []int{8080, 8081},
		testcontainers.WithFiles(text(config, "/etc/caddy/Caddyfile")))
}

// text is a file within a container.
func text(content, to string) testcontainers.ContainerFile {
	return testcontainers.ContainerFile{Reader: strings.NewReader(content), ContainerFilePath: to, FileMode: 0o644}
}

// composeImage is an image that docker-compose.yml names.
func composeImage(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if image, ok := strings.CutPrefix(strings.TrimSpace(line), "image: "); ok && strings.HasPrefix(image, name+":") {
			return image
		}
	}
	t.Fatalf("docker-compose.yml names no image %s", name)
	return ""
}

func natsImage(t *testing.T) string  { return composeImage(t, "nats") }
func caddyImage(t *testing.T) string { return composeImage(t, "caddy") }

// waitReady waits until a replica reports that it is ready.
func (c *cluster) waitReady(r *node) {
	c.t.Helper()
	wait.For(c.t, 60*time.Second, r.name+" ready", func() bool { return c.get(r, 8081, "/readyz") == http.StatusOK })
}

// get is the status of an answer; 0 without an answer.
func (c *cluster) get(n *node, port int, path string) int {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.address(port)+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// post sends a generated webhook through the proxy.
func (c *cluster) post(ctx context.Context, body []byte) (traffic.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.proxy.address(8080)+"/webhooks/ondato/acme",
		bytes.NewReader(body))
	if err != nil {
		return traffic.Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("ondato", callbackPassword)
	res, err := c.client.Do(req) //nolint:bodyclose // ReplyOf closes it
	if err != nil {
		return traffic.Reply{}, err
	}
	return traffic.ReplyOf(res)
}

// urls are the addresses at which this process reaches the servers.
func (c *cluster) urls() string {
	var urls []string
	for _, n := range c.nats {
		urls = append(urls, "nats://"+n.address(4222))
	}
	return strings.Join(urls, ",")
}

// connect is a NATS client as one of the users of deploy/nats. It uses only the addresses that
// are reachable from this process: the servers announce addresses that are valid only among themselves.
func (c *cluster) connect(user, password string) *nats.Conn {
	c.t.Helper()
	var nc *nats.Conn
	wait.For(c.t, 30*time.Second, "a server admits "+user, func() (ok bool) {
		var err error
		nc, err = nats.Connect(c.urls(), nats.UserInfo(user, password), nats.IgnoreDiscoveredServers(),
			nats.Timeout(time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		return err == nil
	})
	c.t.Cleanup(nc.Close)
	return nc
}

// leader is the leader of a stream: a fault there has the largest effect.
func (c *cluster) leader(stream string) *node {
	c.t.Helper()
	js, err := jetstream.New(c.connect("kycbridge", bridgePassword))
	if err != nil {
		c.t.Fatal(err)
	}
	var leader *node
	wait.For(c.t, 30*time.Second, "a leader of "+stream, func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		for _, n := range c.nats {
			if n.name == s.CachedInfo().Cluster.Leader {
				leader = n
			}
		}
		return leader != nil
	})
	return leader
}

// current reports whether every stream has a leader and all its replicas are up to date.
func (c *cluster) current(js jetstream.JetStream) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
	defer cancel()
	streams := js.ListStreams(ctx)
	found := 0
	for info := range streams.Info() {
		found++
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != len(c.nats)-1 {
			return false
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				return false
			}
		}
	}
	return streams.Err() == nil && found > 0
}

// settled waits until every stored payload is processed.
func (c *cluster) settled(patience time.Duration) {
	c.t.Helper()
	wait.For(c.t, patience, "every stored payload worked", func() bool {
		for _, r := range c.replicas {
			if strings.Contains(c.metrics(r), "\nkycbridge_backlog_payloads 0\n") {
				return true
			}
		}
		return false
	})
}

func (c *cluster) metrics(r *node) string {
	res, err := c.client.Get("http://" + r.address(8081) + "/metrics")
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// log is the end of the log of a container.
func (n *node) log(t *testing.T, most int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := n.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
