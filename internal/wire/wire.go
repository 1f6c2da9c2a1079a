// Package wire holds what the shims of every plugin kind share: the generated
// protobuf, its conversion to and from the structs of the contract, and how
// errors cross the process border. Nothing outside internal sees it.
//
// The .proto files are the contract for authors in other languages. After a
// change to one, run `go generate ./internal/wire`: it needs Go alone,
// the generators live in the module under tools/.
package wire

//go:generate go -C ../../tools tool buf lint ../internal/wire
//go:generate go -C ../../tools tool buf generate --template ../internal/wire/buf.gen.yaml ../internal/wire
//go:generate go -C ../../tools tool buf build ../internal/wire --as-file-descriptor-set -o ../plugins/examples/twn-python/contract.binpb
