# Container images. Everything else needs Go alone: see README.md.
#
#   make image          what docker-compose.yml runs: kycbridge, and where they are not there yet the
#                       NATS server, built from its Go module, and the proxy, under the names of the
#                       official images. Nothing is pulled.
#   make kycbridge-image
#   make profile        measures where the processor time of payloads goes, for the compiler
#   make clean

IMAGE   ?= kycbridge
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# As docker-compose.yml names it.
NATS    := $(shell go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
CADDY   := v2.11.9
BUILD   := build/image

# Where systems keep the authorities that they trust; the first that is there.
CERTIFICATES := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem))

export CGO_ENABLED := 0
export GOOS := linux

# It says what it makes, not how: make --trace tells the rest.
.SILENT:
.PHONY: image kycbridge-image nats-image caddy-image certificates profile clean

image: kycbridge-image nats-image caddy-image

kycbridge-image: certificates
	echo "$(IMAGE), version $(VERSION)"
	mkdir -p $(BUILD)/kycbridge/data
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BUILD)/kycbridge/kycbridge ./cmd/kycbridge
	cp deploy/image/kycbridge.yaml $(BUILD)/kycbridge/kycbridge.yaml
	cp '$(CERTIFICATES)' $(BUILD)/kycbridge/ca-certificates.crt
	docker build --quiet --build-arg VERSION=$(VERSION) --tag $(IMAGE) --file deploy/Dockerfile $(BUILD)/kycbridge

nats-image:
	docker image inspect nats:$(NATS:v%=%) >/dev/null 2>&1 || { \
	  echo "nats:$(NATS:v%=%), from its Go module" && \
	  mkdir -p $(BUILD)/nats && \
	  go build -trimpath -ldflags '-s -w' -o $(BUILD)/nats/nats-server github.com/nats-io/nats-server/v2 && \
	  docker build --quiet --tag nats:$(NATS:v%=%) --file deploy/image/nats.Dockerfile $(BUILD)/nats; }

# Out of Debian's package where there is one, of which nothing is installed; else compiled, as a module
# of its own, so that kycbridge does not depend on what the proxy depends on.
caddy-image: certificates
	docker image inspect caddy:2 >/dev/null 2>&1 || { \
	  rm -rf $(BUILD)/caddy && mkdir -p $(BUILD)/caddy/root/usr/bin && cd $(BUILD)/caddy && \
	  { { apt-get download -q caddy && dpkg-deb -x caddy_*.deb package && mv package/usr/bin/caddy root/usr/bin/caddy && \
	      ldd root/usr/bin/caddy | grep -o '/[^ )]*' | xargs -I{} cp --parents --dereference {} root; } >/dev/null 2>&1 && \
	    echo "caddy:2, out of Debian's package" || \
	    { echo "caddy:2, from its Go module; the first time this takes minutes" && \
	      go mod init caddy-image && \
	      go get github.com/caddyserver/caddy/v2/cmd/caddy@$(CADDY) && \
	      go build -tags nobadger,nomysql,nopgx -trimpath -ldflags '-s -w' -o root/usr/bin/caddy github.com/caddyserver/caddy/v2/cmd/caddy; }; } && \
	  cp '$(CERTIFICATES)' ca-certificates.crt && \
	  docker build --quiet --tag caddy:2 --file $(CURDIR)/deploy/image/caddy.Dockerfile .; }

# The compiler optimizes what this profile shows to be hot. It is measured at a fixed place, because its name is in the
# profile.
profile: PLACE := /tmp/kycbridge-profile
profile:
	mkdir -p $(PLACE)
	go test -c -trimpath -o $(PLACE)/path.test ./test
	cd test && $(PLACE)/path.test -test.run '^$$' -test.bench '^BenchmarkPath$$' -test.benchtime 50000x -test.cpuprofile $(PLACE)/cpu
	go tool pprof -proto -output cmd/kycbridge/default.pgo $(PLACE)/path.test $(PLACE)/cpu

certificates:
	test -n '$(CERTIFICATES)' || { echo 'no CA certificates found on this machine; write make image CERTIFICATES=<PEM file>' >&2; exit 1; }

clean:
	rm -rf build
