// Package wire holds what the gRPC code of all plugin kinds shares: the generated protobuf code,
// the conversions between it and the structs of the contract, and how errors cross the process
// border. No package outside internal imports it.
//
// The .proto files are the contract for authors in other languages. After a change to one, run
// `go generate ./internal/wire`. That needs only Go: the generators are in the module under
// tools/.
package wire

//go:generate go -C ../../tools tool buf lint ../internal/wire
//go:generate go -C ../../tools tool buf generate --template ../internal/wire/buf.gen.yaml ../internal/wire
//go:generate go -C ../../tools tool buf build ../internal/wire --as-file-descriptor-set -o ../plugins/examples/twn-python/contract.binpb
