# The systemd unit, with the paths of this build. The directories it may write to must be there when it starts; under /run and /var systemd
# makes them itself.
EXTRA_DIST += contrib/bumpwire.service.in contrib/quickstart
if HAVE_SYSTEMD
systemdsystemunit_DATA = contrib/bumpwire.service
CLEANFILES += contrib/bumpwire.service

contrib/bumpwire.service: contrib/bumpwire.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib && sed \
		-e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@runstatedir[@]|$(runstatedir)|g' \
		-e 's|@localstatedir[@]|$(localstatedir)|g' $(srcdir)/contrib/bumpwire.service.in >$@.tmp && mv $@.tmp $@

install-data-local:
	case '$(runstatedir)' in /run|/var/run) ;; \
	*) $(MKDIR_P) -m 0700 '$(DESTDIR)$(runstatedir)/bumpwire' '$(DESTDIR)$(localstatedir)/lib/bumpwire' ;; esac
endif
