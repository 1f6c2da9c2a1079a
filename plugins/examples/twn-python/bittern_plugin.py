"""What a Bittern plugin in Python needs beside its own mathematics.

It speaks the same gRPC contract as a Go plugin: the messages come from
contract.binpb, the compiled .proto files of internal/wire, so no code is
generated. Tensors are NumPy arrays over memory that the harness shares.

The comments in bittern/plugin/v1/plugin.proto are the specification.
"""

import base64
import concurrent.futures
import datetime
import fcntl
import mmap
import os
import pathlib
import sys
import tempfile
import threading
import traceback

try:
    import grpc
    import numpy
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ModuleNotFoundError as missing:
    sys.exit("%s has no module %s, which a Bittern plugin needs; requirements.txt says where it comes from"
             % (sys.executable, missing.name))

API = 2
_COOKIE = "a bittern booms in the reeds"
_DTYPES = {1: numpy.float32, 2: numpy.int32, 3: numpy.uint16, 4: numpy.uint8}

_pool = descriptor_pool.DescriptorPool()
_files = descriptor_pb2.FileDescriptorSet.FromString(
    pathlib.Path(__file__).resolve().with_name("contract.binpb").read_bytes())
for _file in _files.file:
    _pool.AddSerializedFile(_file.SerializeToString())


class Problem(Exception):
    """A mistake the user can mend: one sentence that says what to do."""


def message(name):
    """The class of a message of the contract, such as bittern.plugin.v1.Tensor."""
    descriptor = _pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(_pool).GetPrototype(descriptor)


class Mapping:
    """Views tensors that the harness made. Keep it as long as the arrays."""

    def __init__(self):
        self._files = {}

    def view(self, tensor):
        """The tensor as a writable array, or None where the handle is empty."""
        shape = tuple(tensor.shape)
        dtype = numpy.dtype(_DTYPES[tensor.type])
        count = int(numpy.prod(shape))
        if count == 0:
            return numpy.zeros(shape, dtype)
        if tensor.file not in self._files:
            with open(tensor.file, "r+b") as file:
                self._files[tensor.file] = mmap.mmap(file.fileno(), 0)
        return numpy.frombuffer(self._files[tensor.file], dtype, count, tensor.offset).reshape(shape)


class Answer:
    """Puts the tensors of one response into a file, which the harness removes."""

    _last = None  # stays open, and so locked, until the harness has surely read it

    def __init__(self):
        folder = os.environ["BITTERN_ARENA_FOLDER"]
        self._file = tempfile.NamedTemporaryFile(
            prefix="bittern-arena-%d-" % os.getpid(), dir=folder, delete=False)
        fcntl.flock(self._file, fcntl.LOCK_EX)  # the sign that its owner lives
        if Answer._last:
            Answer._last.close()
        Answer._last = self._file

    def put(self, handle, array):
        """Copies an array and fills in its handle."""
        kind = next(k for k, dtype in _DTYPES.items() if dtype == array.dtype)
        self._file.write(bytes(-self._file.tell() % 64))  # tensors start on cache lines
        handle.file, handle.offset, handle.type = self._file.name, self._file.tell(), kind
        handle.shape.extend(array.shape)
        self._file.write(array.tobytes())
        self._file.flush()


def serve(service, plugin):
    """Serves an object whose methods are the calls of a service of the contract,
    such as bittern.quantizer.v1.Quantizer, until the harness ends the process. A call
    that the object has no method for is answered as not implemented.
    """
    if os.environ.get("BITTERN_PLUGIN") != _COOKIE:
        sys.exit("this is a Bittern plugin: put it in the plugin folder or on PATH, "
                 "name it in a suite, and let bittern start it")
    threading.Thread(target=_end_with_host, daemon=True).start()
    # Whatever is printed goes to the log: stdout belongs to the handshake.
    handshake, sys.stdout = sys.stdout, sys.stderr

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler(service, _handlers(service, plugin)),
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")}),  # SERVING
        grpc.method_handlers_generic_handler("plugin.GRPCController", {
            "Shutdown": grpc.unary_unary_rpc_method_handler(lambda request, context: _shut_down(server))}),
    ))
    certificate, key = _certificate()
    socket = os.path.join(os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp(), "python")
    server.add_secure_port("unix:" + socket, grpc.ssl_server_credentials(
        [(key, certificate.public_bytes(serialization.Encoding.PEM))],
        root_certificates=os.environ["PLUGIN_CLIENT_CERT"].encode(), require_client_auth=True))
    server.start()
    encoded = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    print("1", API, "unix", socket, "grpc", encoded, sep="|", file=handshake, flush=True)
    server.wait_for_termination()


def _handlers(service, plugin):
    handlers = {}
    turn = threading.Lock()  # calls do not overlap
    for method in _pool.FindServiceByName(service).methods:
        if not hasattr(plugin, method.name):
            continue
        def handle(request, context, call=getattr(plugin, method.name)):
            try:
                with turn:
                    return call(request)
            except Problem as problem:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
            except Exception as error:
                traceback.print_exc()
                context.abort(grpc.StatusCode.UNKNOWN, "%s: %s" % (type(error).__name__, error))
        handlers[method.name] = grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=message(method.input_type.full_name).FromString,
            response_serializer=lambda response: response.SerializeToString())
    return handlers


def _end_with_host():
    """Ends the process at the end of stdin, which the host holds open."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def _shut_down(server):
    server.stop(grace=0.1)  # returns at once; the answer still goes out
    return b""


def _certificate():
    """A certificate for this process alone: the host trusts it because it stands
    in the handshake."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256()))
    return certificate, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
