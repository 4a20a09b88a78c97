"""Read every log over gRPC and print it: plain Python, `grpcio` and our generated protobuf classes.

.venv/bin/python examples/grpc_reader.py [DATA-DIR]
"""

import json
import sys
from pathlib import Path

import grpc

from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, EnvelopeBatch, LogSelector, Selector


def main(data_dir: Path) -> None:
    """Print one line for each log, until the stream ends."""
    address = json.loads((data_dir / "endpoints.json").read_text())["reverse_log_proxy"]
    ca, key, certificate = ((data_dir / "certs" / name).read_bytes() for name in ("ca.crt", "client.key", "client.crt"))
    options = [("grpc.ssl_target_name_override", "reverselogproxy"), ("grpc.max_receive_message_length", 10 << 20)]
    request = EgressBatchRequest(
        shard_id="example-grpc-reader",  # readers of one name share its stream
        use_preferred_tags=True,
        selectors=[Selector(log=LogSelector())],
    )
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate), options) as channel:
        read = channel.unary_stream(
            "/loggregator.v2.Egress/BatchedReceiver",
            request_serializer=EgressBatchRequest.SerializeToString,
            response_deserializer=EnvelopeBatch.FromString,
        )
        for batch in read(request):
            for envelope in batch.batch:
                print(envelope.source_id, envelope.log.payload.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".local" / "share" / "standpipe")
