-- What RDS for MySQL puts into a new server beside it.

-- The master user holds what RDS 8.0.36 and later give it, through a role. Its own password is set when a world starts.
CREATE ROLE rds_superuser_role;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
  CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
  CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
GRANT APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, SET_USER_ID, XA_RECOVER_ADMIN
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
CREATE USER admin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT rds_superuser_role TO admin@'%';
SET DEFAULT ROLE rds_superuser_role TO admin@'%';

