# nats-server, built from its Go module, laid out as the official image is: for machines that reach
# no registry.
FROM scratch
COPY nats-server /nats-server
EXPOSE 4222 6222 8222
ENTRYPOINT ["/nats-server"]
CMD ["--help"]
