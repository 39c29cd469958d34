# The program alone, in an image without a shell, for a user without rights.
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
RUN cd service && go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /stint ./cmd/stint
# The folder for what lasts, which the image's user may write.
RUN mkdir -p /data && chown 65532:65532 /data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /stint /stint
COPY --from=build --chown=65532:65532 /data /data
ENV STINT_DATA=/data
VOLUME /data
EXPOSE 8080 8089
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/stint", "health", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/stint"]
CMD ["serve", "--listen", ":8080", "--admin", ":8089"]
