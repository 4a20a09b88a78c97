import shutil
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from plumbing.tls import (
    TlsError,
    TlsFiles,
    check_files,
    client_context,
    grpc_channel_credentials,
    grpc_server_credentials,
    server_context,
)


@pytest.fixture
def doppler(certs_dir: Path) -> TlsFiles:
    return TlsFiles.named(certs_dir, "doppler")


@pytest.fixture
def client(certs_dir: Path) -> TlsFiles:
    return TlsFiles.named(certs_dir, "client")


@pytest.fixture
def stranger(certs_dir: Path, other_certs_dir: Path) -> TlsFiles:
    """A client that trusts our servers, and shows them a certificate of another installation."""
    return TlsFiles.named(other_certs_dir, "client").model_copy(update={"ca": certs_dir / "ca.crt"})


@pytest.fixture
def spoilt(certs_dir: Path, tmp_path: Path) -> TlsFiles:
    """Files that a test may spoil."""
    return TlsFiles.named(shutil.copytree(certs_dir, tmp_path / "certs"), "doppler")


@dataclass
class Outcome:
    """How a call over TLS went: the protocols agreed upon, or why either side gave up."""

    version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    client_error: str = ""
    server_error: str = ""


async def call(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "doppler") -> Outcome:
    """Let a client that demands a server of that `name` ask, over a real socket, and the server answer."""
    outcome = Outcome()

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.send_all(await stream.receive_some())
        except trio.BrokenResourceError as error:
            outcome.server_error = str(error.__cause__)
        await trio.aclose_forcefully(stream)

    async def ask(port: int) -> None:
        stream = trio.SSLStream(await trio.open_tcp_stream("127.0.0.1", port), client, server_hostname=name)
        try:
            await stream.send_all(b"question")
            if await stream.receive_some() == b"question":
                outcome.version = stream.version()
                outcome.cipher = stream.cipher()[0]
                outcome.alpn = stream.selected_alpn_protocol()
        except trio.BrokenResourceError as error:
            outcome.client_error = str(error.__cause__)
        await trio.aclose_forcefully(stream)

    with trio.fail_after(5):
        (listener,) = await trio.open_ssl_over_tcp_listeners(0, server, host="127.0.0.1")
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(ask, listener.transport_listener.socket.getsockname()[1])
            await serve(await listener.accept())
    return outcome


async def test_a_client_of_the_same_ca_is_served(doppler: TlsFiles, client: TlsFiles) -> None:
    server = server_context(doppler, require_client_cert=True)

    outcome = await call(server, client_context(client.ca, client.cert, client.key))

    assert outcome.version == "TLSv1.3"


async def test_a_client_of_another_ca_is_refused(doppler: TlsFiles, stranger: TlsFiles) -> None:
    server = server_context(doppler, require_client_cert=True)

    outcome = await call(server, client_context(stranger.ca, stranger.cert, stranger.key))

    assert outcome.version is None
    assert "certificate verify failed" in outcome.server_error


async def test_a_client_without_certificate_is_refused(doppler: TlsFiles) -> None:
    outcome = await call(server_context(doppler, require_client_cert=True), client_context(doppler.ca))

    assert outcome.version is None
    assert "peer did not return a certificate" in outcome.server_error


async def test_a_client_without_certificate_is_served_where_none_is_asked_for(doppler: TlsFiles) -> None:
    outcome = await call(server_context(doppler, require_client_cert=False), client_context(doppler.ca))

    assert outcome.version == "TLSv1.3"


async def test_the_name_of_the_client_does_not_matter(doppler: TlsFiles, certs_dir: Path) -> None:
    metron = TlsFiles.named(certs_dir, "metron")

    outcome = await call(
        server_context(doppler, require_client_cert=True), client_context(metron.ca, metron.cert, metron.key)
    )

    assert outcome.version == "TLSv1.3"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_server_answers_to_local_names(doppler: TlsFiles, name: str) -> None:
    outcome = await call(server_context(doppler, require_client_cert=False), client_context(doppler.ca), name)

    assert outcome.version == "TLSv1.3"


async def test_a_server_of_another_name_is_refused(doppler: TlsFiles) -> None:
    outcome = await call(server_context(doppler, require_client_cert=False), client_context(doppler.ca), "metron")

    assert "Hostname mismatch" in outcome.client_error


async def test_a_server_of_another_ca_is_refused(doppler: TlsFiles, other_certs_dir: Path) -> None:
    server = server_context(TlsFiles.named(other_certs_dir, "doppler"), require_client_cert=False)

    outcome = await call(server, client_context(doppler.ca))

    assert "certificate verify failed" in outcome.client_error


async def test_tls_12_is_spoken_with_forward_secrecy_and_gcm(doppler: TlsFiles) -> None:
    old = client_context(doppler.ca)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    outcome = await call(server_context(doppler, require_client_cert=False), old)

    assert outcome.version == "TLSv1.2"
    assert outcome.cipher in {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tls_11_is_refused(doppler: TlsFiles) -> None:
    ancient = client_context(doppler.ca)
    ancient.minimum_version = ancient.maximum_version = ssl.TLSVersion.TLSv1_1
    ancient.set_ciphers("ALL:@SECLEVEL=0")

    outcome = await call(server_context(doppler, require_client_cert=False), ancient)

    assert "unsupported protocol" in outcome.server_error


async def test_a_weak_suite_of_tls_12_is_refused(doppler: TlsFiles) -> None:
    weak = client_context(doppler.ca)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA")

    outcome = await call(server_context(doppler, require_client_cert=False), weak)

    assert "no shared cipher" in outcome.server_error


async def test_protocols_are_negotiated(doppler: TlsFiles) -> None:
    server = server_context(doppler, require_client_cert=False, alpn=["h2", "http/1.1"])

    outcome = await call(server, client_context(doppler.ca, alpn=["http/1.1"]))

    assert outcome.alpn == "http/1.1"


async def test_an_authority_that_is_itself_signed_by_another_may_be_the_one_trusted(doppler: TlsFiles) -> None:
    pinned = client_context(doppler.cert)  # the leaf alone, without the CA that signed it

    outcome = await call(server_context(doppler, require_client_cert=False), pinned)

    assert outcome.version == "TLSv1.3"


def grpc_call(server_files: TlsFiles, client_files: TlsFiles, name: str = "doppler") -> bytes:
    """Let a gRPC client that demands a server of that `name` ask, and return what it is answered."""
    echo = grpc.method_handlers_generic_handler(
        "Echo", {"Ask": grpc.unary_unary_rpc_method_handler(lambda request, context: request)}
    )
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[echo])
        port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(server_files))
        server.start()
        try:
            options = [("grpc.ssl_target_name_override", name)]
            credentials = grpc_channel_credentials(client_files)
            with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
                answer: bytes = channel.unary_unary("/Echo/Ask")(b"question", timeout=5)
                return answer
        finally:
            server.stop(None).wait()


def assert_unavailable(server_files: TlsFiles, client_files: TlsFiles, name: str = "doppler") -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        grpc_call(server_files, client_files, name)
    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_grpc_client_of_the_same_ca_is_served(doppler: TlsFiles, client: TlsFiles) -> None:
    assert grpc_call(doppler, client) == b"question"


def test_a_grpc_client_of_any_name_is_served(doppler: TlsFiles) -> None:
    assert grpc_call(doppler, doppler) == b"question"


def test_a_grpc_client_of_another_ca_is_refused(doppler: TlsFiles, stranger: TlsFiles) -> None:
    assert_unavailable(doppler, stranger)


def test_a_grpc_server_of_another_ca_is_refused(client: TlsFiles, other_certs_dir: Path, certs_dir: Path) -> None:
    server = TlsFiles.named(other_certs_dir, "doppler").model_copy(update={"ca": certs_dir / "ca.crt"})

    assert_unavailable(server, client)


def test_a_grpc_server_of_another_name_is_refused(doppler: TlsFiles, client: TlsFiles) -> None:
    assert_unavailable(doppler, client, "metron")


def test_a_grpc_client_without_certificate_is_refused(doppler: TlsFiles, client: TlsFiles) -> None:
    server_files, ca = doppler, client.ca.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        port = server.add_secure_port("127.0.0.1:0", grpc_server_credentials(server_files))
        server.start()
        with (
            grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(ca)) as channel,
            pytest.raises(grpc.RpcError) as refusal,
        ):
            channel.unary_unary("/Echo/Ask")(b"question", timeout=5)
        server.stop(None).wait()

    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE


BUILDERS: dict[str, Callable[[TlsFiles], object]] = {
    "check": check_files,
    "server": lambda files: server_context(files, require_client_cert=True),
    "open server": lambda files: server_context(files, require_client_cert=False),
    "client": lambda files: client_context(files.ca, files.cert, files.key),
    "gRPC server": grpc_server_credentials,
    "gRPC client": grpc_channel_credentials,
}


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("part", ["ca", "cert", "key"])
def test_a_missing_file_is_named(spoilt: TlsFiles, part: str, builder: str) -> None:
    path: Path = getattr(spoilt, part)
    path.unlink()

    with pytest.raises(TlsError, match=f"^{path}: No such file or directory$"):
        BUILDERS[builder](spoilt)


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_key_of_another_certificate_is_named(spoilt: TlsFiles, client: TlsFiles, builder: str) -> None:
    shutil.copy(client.key, spoilt.key)

    with pytest.raises(TlsError, match=f"^{spoilt.key}: not the key of {spoilt.cert}$"):
        BUILDERS[builder](spoilt)


@pytest.mark.parametrize("part", ["ca", "cert"])
def test_a_file_that_is_no_certificate_is_named(spoilt: TlsFiles, part: str) -> None:
    path: Path = getattr(spoilt, part)
    path.write_bytes(b"nonsense")

    with pytest.raises(TlsError, match=f"^{path}: not a PEM certificate$"):
        check_files(spoilt)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_file_that_is_no_key_is_named(spoilt: TlsFiles, content: bytes) -> None:
    spoilt.key.write_bytes(content)

    with pytest.raises(TlsError, match=f"^{spoilt.key}: not an unencrypted PEM private key$"):
        check_files(spoilt)


def test_an_encrypted_key_is_named(spoilt: TlsFiles) -> None:
    key = serialization.load_pem_private_key(spoilt.key.read_bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(b"open sesame")
    spoilt.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))

    with pytest.raises(TlsError, match=f"^{spoilt.key}: not an unencrypted PEM private key$"):
        check_files(spoilt)


def test_a_directory_is_no_file(spoilt: TlsFiles) -> None:
    with pytest.raises(TlsError, match="Is a directory"):
        check_files(spoilt.model_copy(update={"ca": spoilt.ca.parent}))


@pytest.mark.parametrize("half", ["cert", "key"])
def test_a_client_gives_certificate_and_key_together(client: TlsFiles, half: str) -> None:
    with pytest.raises(TlsError, match="together or not at all"):
        client_context(client.ca, **{half: getattr(client, half)})


def test_files_take_no_unknown_setting(certs_dir: Path) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TlsFiles.model_validate({"ca": "a", "cert": "b", "key": "c", "passphrase": "d"})


def test_keys_are_agreed_on_once(certs_dir: Path) -> None:
    """A client of TLS 1.2 that asks for other keys in the middle would cost a server its handshake again and again."""
    context = server_context(TlsFiles.named(certs_dir, "doppler"), require_client_cert=False)

    assert context.options & ssl.OP_NO_RENEGOTIATION
