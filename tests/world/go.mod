module iamdb.dev/world

go 1.24
