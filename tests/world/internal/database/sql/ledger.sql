-- DB cluster "ledger", Aurora MySQL 3. What Aurora puts into a new cluster, and some data.

-- The master user holds what Aurora gives it, all through a role that must be active. Its password is set when a world starts.
CREATE ROLE rds_superuser_role;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
  CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
  CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
GRANT APPLICATION_PASSWORD_ADMIN, CONNECTION_ADMIN, ROLE_ADMIN, SET_USER_ID, SHOW_ROUTINE, XA_RECOVER_ADMIN
  ON *.* TO rds_superuser_role WITH GRANT OPTION;
CREATE USER admin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT rds_superuser_role TO admin@'%';
SET DEFAULT ROLE rds_superuser_role TO admin@'%';

CREATE USER rdsadmin@localhost IDENTIFIED BY 'until-the-world-starts';
GRANT ALL PRIVILEGES ON *.* TO rdsadmin@localhost WITH GRANT OPTION;

CREATE USER rdsrepladmin@'%' IDENTIFIED BY 'until-the-world-starts';
GRANT REPLICATION SLAVE ON *.* TO rdsrepladmin@'%';

-- Whoever lacks CONNECTION_ADMIN ends other users' sessions with these.
DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE mysql.rds_kill(IN thread BIGINT)
BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = thread AND user IN ('rdsadmin', 'event_scheduler')) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Cannot kill RDS_ADMIN thread.';
  END IF;
  KILL thread;
END//
CREATE DEFINER=rdsadmin@localhost PROCEDURE mysql.rds_kill_query(IN thread BIGINT)
BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = thread AND user IN ('rdsadmin', 'event_scheduler')) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'Cannot kill RDS_ADMIN thread.';
  END IF;
  KILL QUERY thread;
END//
DELIMITER ;

-- An account that was here before the operator came.
CREATE USER legacy_app@'%' IDENTIFIED BY 'until-the-world-starts';

-- In a pattern the underscore of ledger_archive would also open ledgerXarchive, if partial_revokes were off.
CREATE DATABASE ledger;
CREATE TABLE ledger.entries (id INT PRIMARY KEY AUTO_INCREMENT, account VARCHAR(40) NOT NULL, cents INT NOT NULL);
INSERT INTO ledger.entries (account, cents) VALUES ('rent', -90000), ('salary', 280000), ('books', -4000);
CREATE DATABASE ledger_archive;
CREATE TABLE ledger_archive.entries LIKE ledger.entries;
INSERT INTO ledger_archive.entries (account, cents) VALUES ('rent', -88000);
CREATE DATABASE ledgerXarchive;
CREATE TABLE ledgerXarchive.entries LIKE ledger.entries;
INSERT INTO ledgerXarchive.entries (account, cents) VALUES ('secret', 700);
GRANT SELECT, INSERT ON ledger.* TO legacy_app@'%';

DELIMITER //
CREATE DEFINER=rdsadmin@localhost PROCEDURE ledger.cancel(IN wanted INT)
BEGIN
  UPDATE ledger.entries SET cents = 0 WHERE id = wanted;
END//
CREATE DEFINER=rdsadmin@localhost FUNCTION ledger.balance(wanted VARCHAR(40)) RETURNS INT READS SQL DATA
BEGIN
  RETURN (SELECT COALESCE(SUM(cents), 0) FROM ledger.entries WHERE account = wanted);
END//
DELIMITER ;
