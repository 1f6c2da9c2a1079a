// Package python holds a quantizer written in Python, to show that a plugin
// needs the protocol and no Go. It needs Python 3 with grpcio, protobuf,
// cryptography and NumPy; on Debian:
//
//	apt install python3-grpcio python3-protobuf python3-cryptography python3-numpy
//	PATH="$PATH:$PWD/plugins/examples/python" bittern plugins describe twn-python
//
// The files are bittern_plugin.py, which any Python plugin can use, the plugin
// bittern-quantizer-twn-python, and contract.binpb, the compiled .proto files,
// which `go generate ./internal/wire` writes.
//
// It is tried with Debian's grpcio, which is built on OpenSSL. go-plugin makes
// certificates on the curve P-521; a grpcio built on another TLS library must
// accept them.
package python
