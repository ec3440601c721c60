// Package container tests the images, docker-compose.yml and a cluster of three NATS servers with
// two replicas of kycbridge, all in real containers. It builds the images itself (make image) and
// needs an engine that answers, make and docker; else its tests are skipped, or fail where
// REQUIRE_CONTAINERS=1 says that there must be one.
package container
