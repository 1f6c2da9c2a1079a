package wire

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"bittern/plugins"
)

// Handshake is what host and plugin must agree on before they speak. The cookie
// keeps a user from running a plugin by hand; it is no security.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  plugins.APIVersion,
	MagicCookieKey:   "BITTERN_PLUGIN",
	MagicCookieValue: "a bittern booms in the reeds",
}

// Service is the one name under which go-plugin dispenses: an executable serves
// one plugin.
const Service = "plugin"

// Plugin ties go-plugin to a plugin kind: the plugin's side registers its
// service, the host's side gets the bare connection.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Register func(grpc.ServiceRegistrar)
}

// GRPCServer registers the service.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	p.Register(server)
	return nil
}

// GRPCClient returns the connection, a grpc.ClientConnInterface.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
