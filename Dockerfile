# The program alone, in an image with nothing else, for a user without rights.
#
#   docker build -t stint .
#   docker run -p 8080:8080 -v stint:/data stint
FROM golang:1.26-alpine AS build
WORKDIR /src
# Modules first: they change less often than the sources, and are not fetched again while they do not.
COPY go.mod ./
COPY redisstore/go.mod redisstore/go.sum redisstore/
COPY limittest/go.mod limittest/go.sum limittest/
COPY storetest/go.mod storetest/go.sum storetest/
COPY service/go.mod service/go.sum service/
ENV GOWORK=off GOFLAGS=-buildvcs=false CGO_ENABLED=0
RUN cd service && go mod download
COPY . .
ARG VERSION=unknown
# grpcnotrace leaves out the pages of a debugger that nobody opens, and with them a third of the program.
RUN cd service && go build -trimpath -tags grpcnotrace -ldflags "-s -w -X main.version=$VERSION" -o /stint ./cmd/stint
# Folders that the user of the image may write: for what lasts, and for what does not.
RUN mkdir -p /root/data /root/tmp

# Nothing but the program and the authorities that vouch for the servers it calls; it brings its time zones along.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /root/data /data
COPY --from=build --chown=65532:65532 /root/tmp /tmp
COPY --from=build /stint /stint
ENV STINT_DATA=/data
VOLUME /data
EXPOSE 8080 8089
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/stint", "health", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/stint"]
CMD ["serve", "--listen", ":8080", "--admin", ":8089"]
