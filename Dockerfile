# syntax=docker/dockerfile:1

# It is built on the machine's own platform and for the one that is asked for: Go needs no
# emulator.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /claviger ./cmd/claviger

FROM gcr.io/distroless/static:nonroot
COPY --from=build /claviger /claviger
USER 65532:65532
ENTRYPOINT ["/claviger"]
