-- What RDS puts into every new server, whatever its family.

CREATE USER rdsadmin@localhost IDENTIFIED BY 'until-the-world-starts';
GRANT ALL PRIVILEGES ON *.* TO rdsadmin@localhost WITH GRANT OPTION;

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

