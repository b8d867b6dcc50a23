"""The embedded store: ClickHouse's HTTP interface over chdb, on this machine's loopback.

A client sees a ClickHouse server without users, sessions and clusters. Layers, each knowing only those after it:

process    start and stop the store as a process of its own (`LocalStore`)
server     listen, serve until a signal, end in order (`serve`)
handler    HTTP: connections, request bodies, chunked answers
service    what a request means: insert, query, command
engine     chdb; nothing else imports it
protocol, statement, forms, coding, faults   pure: bytes in, values out

Interface: https://clickhouse.com/docs/interfaces/http
"""
