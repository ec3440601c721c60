package test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kycbridge/handlers"
	"kycbridge/internal/app"
)

// The parts of Kubernetes objects that deploy/kubernetes uses, with the names of k8s.io/api. They
// are decoded strictly, so that a misspelt key is an error; the module itself has a dozen dependencies,
// too many for this check.
type (
	labels   map[string]string
	selector struct {
		MatchLabels labels `yaml:"matchLabels"`
	}
	objectMeta struct {
		Name, Namespace string
		Labels          labels
	}
	manifest[S any] struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   objectMeta
		Spec       S
	}
	plain struct { // without spec
		APIVersion                   string `yaml:"apiVersion"`
		Kind, Type                   string
		Metadata                     objectMeta
		AutomountServiceAccountToken *bool             `yaml:"automountServiceAccountToken"`
		Data                         map[string]string `yaml:"data"`
		StringData                   map[string]string `yaml:"stringData"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
	volume struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
		EmptyDir struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
	}
	container struct {
		Name, Image string
		Args        []string
		Env         []struct{ Name, Value string }
		Ports       []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		StartupProbe   probe `yaml:"startupProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		Lifecycle      struct {
			PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
		}
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			SubPath   string `yaml:"subPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	podSpec struct {
		ServiceAccountName            string `yaml:"serviceAccountName"`
		AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
		EnableServiceLinks            *bool  `yaml:"enableServiceLinks"`
		TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
			RunAsUser      int                   `yaml:"runAsUser"`
			RunAsGroup     int                   `yaml:"runAsGroup"`
			FSGroup        int                   `yaml:"fsGroup"`
			SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		TopologySpreadConstraints []struct {
			MaxSkew           int      `yaml:"maxSkew"`
			TopologyKey       string   `yaml:"topologyKey"`
			WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
			LabelSelector     selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []container
		Volumes    []volume
	}
	deploymentSpec struct {
		Replicas *int
		Selector selector
		Strategy struct {
			RollingUpdate struct {
				MaxUnavailable int `yaml:"maxUnavailable"`
				MaxSurge       int `yaml:"maxSurge"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata objectMeta
			Spec     podSpec
		}
	}
	serviceSpec struct {
		ClusterIP                string `yaml:"clusterIP"`
		PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
		SessionAffinity          string `yaml:"sessionAffinity"`
		Selector                 labels
		Ports                    []servicePort
	}
	servicePort struct {
		Name       string
		Port       int
		TargetPort string `yaml:"targetPort"`
	}
	budgetSpec struct {
		MaxUnavailable int `yaml:"maxUnavailable"`
		Selector       selector
	}
	autoscalerSpec struct {
		ScaleTargetRef struct {
			APIVersion string `yaml:"apiVersion"`
			Kind, Name string
		} `yaml:"scaleTargetRef"`
		MinReplicas int `yaml:"minReplicas"`
		MaxReplicas int `yaml:"maxReplicas"`
		Metrics     []struct {
			Type     string
			Resource struct {
				Name   string
				Target struct {
					Type               string
					AverageUtilization int `yaml:"averageUtilization"`
				}
			}
		}
		Behavior struct {
			ScaleDown struct {
				StabilizationWindowSeconds int `yaml:"stabilizationWindowSeconds"`
			} `yaml:"scaleDown"`
		}
	}
	peer struct {
		NamespaceSelector selector `yaml:"namespaceSelector"`
		PodSelector       selector `yaml:"podSelector"`
		IPBlock           struct {
			CIDR   string
			Except []string
		} `yaml:"ipBlock"`
	}
	networkRule struct {
		From, To []peer
		Ports    []struct {
			Protocol string
			Port     int
		}
	}
	networkSpec struct {
		PodSelector     selector `yaml:"podSelector"`
		PolicyTypes     []string `yaml:"policyTypes"`
		Ingress, Egress []networkRule
	}
	monitorSpec struct {
		JobLabel  string `yaml:"jobLabel"`
		Selector  selector
		Endpoints []struct{ Port, Path, Interval string }
	}
	kustomization struct {
		APIVersion      string `yaml:"apiVersion"`
		Kind, Namespace string
		Resources       []string
		Images          []struct {
			Name    string
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		}
	}
)

// matches reports whether a selector selects an object with these labels. Here an empty selector selects nothing,
// because none is meant to select everything.
func (s labels) matches(l labels) bool {
	for k, v := range s {
		if l[k] != v {
			return false
		}
	}
	return len(s) > 0
}

// kubernetes contains the objects of deploy/kubernetes.
type kubernetes struct {
	deployments []manifest[deploymentSpec]
	services    []manifest[serviceSpec]
	budgets     []manifest[budgetSpec]
	autoscalers []manifest[autoscalerSpec]
	policies    []manifest[networkSpec]
	monitors    []manifest[monitorSpec]
	plain       map[string]plain // by kind and name
}

// loadKubernetes reads every file below deploy/kubernetes.
func loadKubernetes(t *testing.T) kubernetes {
	t.Helper()
	k := kubernetes{plain: map[string]plain{}}
	root := filepath.Join(docsRoot, "deploy", "kubernetes")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if d.Name() == "kustomization.yaml" {
			return nil
		}
		for doc := range bytes.SplitSeq(raw, []byte("\n---\n")) {
			k.add(t, path, doc)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kubernetes) add(t *testing.T, path string, doc []byte) {
	t.Helper()
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		k.deployments = append(k.deployments, strictly[manifest[deploymentSpec]](t, path, doc))
	case "v1 Service":
		k.services = append(k.services, strictly[manifest[serviceSpec]](t, path, doc))
	case "policy/v1 PodDisruptionBudget":
		k.budgets = append(k.budgets, strictly[manifest[budgetSpec]](t, path, doc))
	case "autoscaling/v2 HorizontalPodAutoscaler":
		k.autoscalers = append(k.autoscalers, strictly[manifest[autoscalerSpec]](t, path, doc))
	case "networking.k8s.io/v1 NetworkPolicy":
		k.policies = append(k.policies, strictly[manifest[networkSpec]](t, path, doc))
	case "monitoring.coreos.com/v1 ServiceMonitor":
		k.monitors = append(k.monitors, strictly[manifest[monitorSpec]](t, path, doc))
	case "v1 Namespace", "v1 ConfigMap", "v1 Secret", "v1 ServiceAccount":
		p := strictly[plain](t, path, doc)
		k.plain[p.Kind+" "+p.Metadata.Name] = p
		if p.Kind != "Namespace" && p.Metadata.Namespace != "kycbridge" {
			t.Errorf("%s: %s is in namespace %q", path, p.Metadata.Name, p.Metadata.Namespace)
		}
	default:
		t.Errorf("%s: unknown kind %s %s", path, head.APIVersion, head.Kind)
	}
}

// strictly decodes one document; an unknown key is an error.
func strictly[T any](t *testing.T, path string, doc []byte) T {
	t.Helper()
	var v T
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	if err := d.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// TestDeployKubernetes checks the manifests without a cluster: every reference has its target, and the
// configuration of each container works in it.
func TestDeployKubernetes(t *testing.T) {
	k := loadKubernetes(t)
	if len(k.deployments) != 2 || len(k.services) != 3 || len(k.policies) != 3 {
		t.Fatalf("%d deployments, %d services, %d network policies", len(k.deployments), len(k.services), len(k.policies))
	}
	configs := loadDeployedConfig(t, k)
	for _, d := range k.deployments {
		t.Run(d.Metadata.Name, func(t *testing.T) { checkDeployment(t, k, d, configs) })
	}
	pods := func(s labels) (names []string) {
		for _, d := range k.deployments {
			if s.matches(d.Spec.Template.Metadata.Labels) {
				names = append(names, strings.TrimPrefix(d.Metadata.Name, "kycbridge-"))
			}
		}
		return names
	}
	for _, s := range k.services {
		found := pods(s.Spec.Selector)
		if len(found) == 0 {
			t.Errorf("service %s selects nothing", s.Metadata.Name)
		}
		for _, p := range s.Spec.Ports {
			for _, d := range k.deployments {
				if slices.Contains(found, strings.TrimPrefix(d.Metadata.Name, "kycbridge-")) &&
					containerPort(d, p.TargetPort) == 0 {
					t.Errorf("service %s: %s has no port %s", s.Metadata.Name, d.Metadata.Name, p.TargetPort)
				}
			}
		}
		if ports := s.Spec.Ports; len(ports) != 1 {
			t.Errorf("service %s has %d ports: callbacks and admin have different callers", s.Metadata.Name, len(ports))
		}
	}
	for _, b := range k.budgets {
		if got := pods(b.Spec.Selector.MatchLabels); len(got) != 1 || b.Spec.MaxUnavailable != 1 {
			t.Errorf("disruption budget %s is of %v", b.Metadata.Name, got)
		}
	}
	if len(k.budgets) != len(k.deployments) {
		t.Errorf("%d disruption budgets of %d deployments", len(k.budgets), len(k.deployments))
	}
	for _, a := range k.autoscalers {
		i := slices.IndexFunc(k.deployments, func(d manifest[deploymentSpec]) bool {
			return d.Metadata.Name == a.Spec.ScaleTargetRef.Name && d.Kind == a.Spec.ScaleTargetRef.Kind &&
				d.APIVersion == a.Spec.ScaleTargetRef.APIVersion
		})
		switch {
		case i < 0:
			t.Errorf("autoscaler %s scales nothing", a.Metadata.Name)
		case k.deployments[i].Spec.Replicas != nil:
			t.Errorf("%s has a number of replicas, which each apply would set against the autoscaler",
				a.Spec.ScaleTargetRef.Name)
		case k.deployments[i].Spec.Template.Spec.Containers[0].Resources.Requests["cpu"] == "":
			t.Errorf("%s requests no processor time, so there is nothing to scale by", a.Spec.ScaleTargetRef.Name)
		}
		if a.Spec.MinReplicas < 2 || a.Spec.MaxReplicas < a.Spec.MinReplicas {
			t.Errorf("autoscaler %s: %d to %d replicas", a.Metadata.Name, a.Spec.MinReplicas, a.Spec.MaxReplicas)
		}
	}
	for _, m := range k.monitors {
		if !slices.ContainsFunc(k.services, func(s manifest[serviceSpec]) bool {
			return m.Spec.Selector.MatchLabels.matches(s.Metadata.Labels) && s.Spec.Ports[0].Name == m.Spec.Endpoints[0].Port &&
				len(pods(s.Spec.Selector)) == len(k.deployments)
		}) {
			t.Errorf("the ServiceMonitor does not find the service of all replicas")
		}
	}
	checkPolicies(t, k, pods)
}

func containerPort(d manifest[deploymentSpec], name string) int {
	for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// loadDeployedConfig loads kycbridge.yaml of the ConfigMap with the secrets that the Secret names, by the role
// words of the deployment that reads it.
func loadDeployedConfig(t *testing.T, k kubernetes) map[string]*app.Config {
	t.Helper()
	const mounted = "/etc/kycbridge/secret"
	text := k.plain["ConfigMap kycbridge"].Data["kycbridge.yaml"]
	secrets := k.plain["Secret kycbridge"].StringData
	dir := t.TempDir()
	for name, value := range secrets {
		if value != "" {
			t.Errorf("the template of secrets has a value for %s", name)
		}
		writeFile(t, filepath.Join(dir, name), syntheticSecret(t, name))
	}
	named := regexp.MustCompile(regexp.QuoteMeta(mounted)+`/([\w-]+)`).FindAllStringSubmatch(text, -1)
	used := []string{"admin-tokens"} // of the environment
	for _, m := range named {
		used = append(used, m[1])
		if _, ok := secrets[m[1]]; !ok {
			t.Errorf("the configuration reads the secret %s, which is not in the template", m[1])
		}
	}
	for name := range secrets {
		if !slices.Contains(used, name) {
			t.Errorf("the secret %s is not read", name)
		}
	}
	path := filepath.Join(dir, "kycbridge.yaml")
	writeFile(t, path, strings.ReplaceAll(text, mounted, dir))
	configs := map[string]*app.Config{}
	for _, d := range k.deployments {
		var environ []string
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			environ = append(environ, e.Name+"="+strings.ReplaceAll(e.Value, mounted, dir))
		}
		c, err := app.LoadConfig(path, environ, app.ProviderCatalog())
		if err != nil {
			t.Fatalf("%s: %v", d.Metadata.Name, err)
		}
		for _, w := range app.Warnings(c) {
			if !strings.HasPrefix(w, "admin.tokens: empty") { // intended for a process that only takes callbacks
				t.Errorf("%s: %s", d.Metadata.Name, w)
			}
		}
		configs[d.Metadata.Name] = c
	}
	return configs
}

func checkDeployment(t *testing.T, k kubernetes, d manifest[deploymentSpec], configs map[string]*app.Config) {
	pod, config := d.Spec.Template.Spec, configs[d.Metadata.Name]
	c := pod.Containers[0]
	if !d.Spec.Selector.MatchLabels.matches(d.Spec.Template.Metadata.Labels) {
		t.Error("the selector does not match the labels of the pods")
	}
	for _, s := range pod.TopologySpreadConstraints {
		if !maps.Equal(s.LabelSelector.MatchLabels, d.Spec.Selector.MatchLabels) {
			t.Errorf("spread over %s counts other pods than these", s.TopologyKey)
		}
	}
	if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser == 0 ||
		pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" ||
		!c.SecurityContext.ReadOnlyRootFilesystem || c.SecurityContext.AllowPrivilegeEscalation == nil ||
		*c.SecurityContext.AllowPrivilegeEscalation ||
		!slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}) {
		t.Error("the container may do more than it needs")
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("Kubernetes would set KYCBRIDGE_ variables that name no key")
	}
	if _, ok := k.plain["ServiceAccount "+pod.ServiceAccountName]; !ok {
		t.Errorf("there is no service account %s", pod.ServiceAccountName)
	}
	if c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
		t.Error("no bounds of memory")
	}
	grace := time.Duration(pod.TerminationGracePeriodSeconds-c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if grace <= config.Receive.Drain+5*time.Second {
		t.Errorf("killed after %s, while callbacks are waited for %s", grace, config.Receive.Drain)
	}
	for _, v := range pod.Volumes {
		if v.ConfigMap.Name != "" {
			if _, ok := k.plain["ConfigMap "+v.ConfigMap.Name]; !ok {
				t.Errorf("there is no ConfigMap %s", v.ConfigMap.Name)
			}
		}
		if v.Secret.SecretName != "" {
			if _, ok := k.plain["Secret "+v.Secret.SecretName]; !ok {
				t.Errorf("there is no Secret %s", v.Secret.SecretName)
			}
		}
	}
	// A process with an API spools the documents of large starts, and nothing else is written.
	spooled := false
	for _, m := range c.VolumeMounts {
		if m.SubPath != "" {
			t.Errorf("%s is mounted with a subPath, so the process does not see changes of it", m.MountPath)
		}
		bounded := slices.ContainsFunc(pod.Volumes,
			func(v volume) bool { return v.Name == m.Name && v.EmptyDir.SizeLimit != "" })
		if m.MountPath == config.DataDir && bounded {
			spooled = true
		} else if !m.ReadOnly {
			t.Errorf("%s is mounted for writing", m.MountPath)
		}
	}
	if spooled != (len(config.Admin.Tokens) > 0) {
		t.Errorf("a place for large starts: %t, an API: %t", spooled, len(config.Admin.Tokens) > 0)
	}
	checkProbes(t, d, config)
	// The command line is parsed by the program itself.
	roles := strings.Split(c.Args[len(c.Args)-1], ",")
	code, _, stderr := run(t, "kycbridge", append(slices.Clone(c.Args), "--help")...)
	if code != 0 {
		t.Errorf("kycbridge %v: %s", c.Args, stderr)
	}
	if err := config.Serves(app.Roles{Receive: slices.Contains(roles, "receive"),
		Normalize: slices.Contains(roles, "normalize"), Poll: slices.Contains(roles, "poll")}); err != nil {
		t.Error(err)
	}
	if tokens := len(config.Admin.Tokens) > 0; tokens == slices.Contains(roles, "receive") {
		t.Errorf("roles %v with an API: %t", roles, tokens)
	}
	if slices.Contains(roles, "poll") {
		for _, a := range config.Accounts {
			if all := a.Limits.RequestsPerSecond * float64(*d.Spec.Replicas); all > 5 ||
				d.Spec.Strategy.RollingUpdate.MaxSurge > 0 {
				t.Errorf("account %s may be called %v times a second by all replicas together", a.Name, all)
			}
		}
	}
}

// checkProbes requests the paths of the probes from the real routes, and compares ports with the configuration.
func checkProbes(t *testing.T, d manifest[deploymentSpec], config *app.Config) {
	t.Helper()
	admin := handlers.NewAdmin(handlers.AdminOptions{})
	c := d.Spec.Template.Spec.Containers[0]
	for what, p := range map[string]probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe,
		"readiness": c.ReadinessProbe} {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.HTTPGet.Path, nil))
		if w.Code != http.StatusOK || p.HTTPGet.Port != "admin" {
			t.Errorf("the %s probe asks port %s for %s: %d", what, p.HTTPGet.Port, p.HTTPGet.Path, w.Code)
		}
	}
	for name, listen := range map[string]string{"admin": config.Admin.Listen, "callbacks": config.Listen} {
		if port := containerPort(d, name); port != 0 && listen != "0.0.0.0:"+strconv.Itoa(port) {
			t.Errorf("port %s is %d, kycbridge listens on %s", name, port, listen)
		}
	}
}

// checkPolicies determines for each kind of pod which pods may reach it and which it may reach.
func checkPolicies(t *testing.T, k kubernetes, pods func(labels) []string) {
	t.Helper()
	reach := map[string][]int{} // by pod and direction, ports
	for _, p := range k.policies {
		found := pods(p.Spec.PodSelector.MatchLabels)
		if len(found) == 0 {
			t.Errorf("network policy %s is of no pod", p.Metadata.Name)
		}
		for direction, rules := range map[string][]networkRule{"in": p.Spec.Ingress, "out": p.Spec.Egress} {
			for _, rule := range rules {
				if len(rule.Ports) == 0 || len(rule.From)+len(rule.To) == 0 {
					t.Errorf("network policy %s opens everything", p.Metadata.Name)
				}
				for _, port := range rule.Ports {
					for _, pod := range found {
						reach[pod+" "+direction] = append(reach[pod+" "+direction], port.Port)
					}
				}
			}
		}
	}
	for what, want := range map[string][]int{
		"receive in": {8080, 8081}, "receive out": {53, 4222},
		"work in": {8081}, "work out": {53, 443, 4222},
	} {
		got := reach[what]
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: ports %v, expected %v", what, got, want)
		}
	}
}

// TestDeployKustomize checks that the kustomizations name every file, and builds them if kubectl is installed.
func TestDeployKustomize(t *testing.T) {
	root := filepath.Join(docsRoot, "deploy", "kubernetes")
	for _, dir := range []string{".", "base", "monitoring"} {
		path := filepath.Join(root, dir, "kustomization.yaml")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kustom := strictly[kustomization](t, path, raw)
		for _, r := range kustom.Resources {
			if _, err := os.Stat(filepath.Join(root, dir, r)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		files, err := filepath.Glob(filepath.Join(root, dir, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if name := filepath.Base(f); name != "kustomization.yaml" && !slices.Contains(kustom.Resources, name) {
				t.Errorf("%s does not name %s", path, name)
			}
		}
	}
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not on this machine: kustomize is not run")
	}
	for _, dir := range []string{".", "monitoring"} {
		out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(root, dir)).CombinedOutput()
		if err != nil {
			t.Errorf("kubectl kustomize %s: %v\n%s", dir, err, out)
		}
		if dir == "." && !bytes.Contains(out, []byte("image: registry.example.com/kycbridge:")) {
			t.Error("the image is not replaced")
		}
	}
}
