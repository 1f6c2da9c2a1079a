// Package wire holds what the shims of every plugin kind share: the generated
// protobuf, its conversion to and from the structs of the contract, and how
// errors cross the process border. Nothing outside plugins/internal sees it.
//
// The .proto files are the contract for authors in other languages. After a
// change to one, run `go generate ./plugins/internal/wire`: it needs Go alone,
// the generators live in the module under tools/.
package wire

//go:generate go -C ../../../tools tool buf lint ../plugins/internal/wire
//go:generate go -C ../../../tools tool buf generate --template ../plugins/internal/wire/buf.gen.yaml ../plugins/internal/wire
//go:generate go -C ../../../tools tool buf build ../plugins/internal/wire --as-file-descriptor-set -o ../plugins/examples/python/contract.binpb
