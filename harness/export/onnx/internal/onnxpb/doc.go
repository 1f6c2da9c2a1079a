// Package onnxpb has the messages of the ONNX format. After a change to onnx.proto, run
// `go generate` here: it needs Go alone, the generator lives in the module under tools/.
package onnxpb

//go:generate go -C ../../../../../tools tool buf generate --template ../harness/export/onnx/internal/onnxpb/buf.gen.yaml ../harness/export/onnx/internal/onnxpb
