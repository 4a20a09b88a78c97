"""`standpipe sql`: ask the event store in SQL."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from standpipe.commands.query import Arrow, Csv, Json, Limit
from standpipe.options import Address, Ca, DataDir, Token
from standpipe.reading.print_answer import form_of, print_answer
from standpipe.reading.session import run_until_interrupted
from standpipe.system import System


def sql(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="One SELECT on `events`, in DuckDB's SQL.")],
    limit: Limit = None,
    as_json: Json = False,
    as_csv: Csv = False,
    as_arrow: Arrow = False,
    data_dir: DataDir = None,
    address: Address = None,
    ca: Ca = None,
    token: Token = None,
) -> None:
    """Ask the event store in SQL: one SELECT on the table `events`; for administrators.

    Its columns are time, source_id, instance_id, type, severity, stream, message, name, value, delta, unit, duration
    (ns) and seq, a column `t_NAME` for each tag, and of each field of a line `f_NAME` (text) and `f_NAME$num` (number).
    All events are read unless the statement says which time it is about.

        standpipe sql 'SELECT source_id, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC'
        standpipe sql --csv 'SELECT time, message FROM events WHERE t_app = $$web$$ ORDER BY time' > web.csv
    """
    form = form_of(as_json=as_json, as_csv=as_csv, as_arrow=as_arrow)
    parameters = {"sql": statement, **({} if limit is None else {"limit": str(limit)})}
    find = partial(System.find, data_dir, address=address, ca=ca, token=token)
    run_until_interrupted(lambda: print_answer(find(), "/api/sql", parameters, form, statement))
