"""Logs in with PyMySQL from the files of a mounted Secret, and prints who the server takes it for."""

import sys
from pathlib import Path

import pymysql


def main() -> None:
    folder = Path(sys.argv[1])

    def read(key: str) -> str:
        return (folder / key).read_text()

    connection = pymysql.connect(
        host=read("host"),
        port=int(read("port")),
        user=read("username"),
        password=read("password"),
        database=read("database"),
        ssl_ca=str(folder / "ca.crt"),
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        connect_timeout=10,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        print(cursor.fetchone()[0])


main()
